#!/bin/sh
# Installs what tests need beside Python, where it may: PostgreSQL with PostGIS, Java for Spark, poppler-utils, strace,
# asciidoctor-pdf and Chromium.
# Says in one line what it left out. Exits 0 all the same, unless REQUIRE_ENGINES=1.
set -u

has_postgres() {
    for control in /usr/share/postgresql/*/extension/postgis.control; do
        version=${control#/usr/share/postgresql/}
        version=${version%%/*}
        [ -e "$control" ] && [ -x "/usr/lib/postgresql/$version/bin/initdb" ] && return 0
    done
    command -v initdb >/dev/null 2>&1 && [ -e "$(pg_config --sharedir 2>/dev/null)/extension/postgis.control" ]
}
has_java() { command -v java >/dev/null 2>&1 || [ -x "${JAVA_HOME:-/none}/bin/java" ]; }
has_poppler() { command -v pdftotext >/dev/null 2>&1 && command -v pdftoppm >/dev/null 2>&1; }
has_strace() { command -v strace >/dev/null 2>&1; }
has_chromium() { command -v chromium >/dev/null 2>&1; }
has_asciidoctor() { command -v asciidoctor-pdf >/dev/null 2>&1; }
missing() {
    has_postgres || printf 'PostgreSQL with PostGIS, '
    has_java || printf 'Java, '
    has_poppler || printf 'poppler-utils, '
    has_strace || printf 'strace, '
    has_asciidoctor || printf 'asciidoctor-pdf, '
    has_chromium || printf 'Chromium, '
}
may() { [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; }
knows() { apt-cache show "$1" >/dev/null 2>&1; }
add() { DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >/dev/null 2>&1; }

if [ -n "$(missing)" ] && may; then
    apt-get update -qq >/dev/null 2>&1
    if ! has_postgres; then
        version=15
        knows postgresql-15 && knows postgresql-15-postgis-3 ||
            version=$(apt-cache depends postgresql 2>/dev/null | sed -n 's/.*Depends: postgresql-\([0-9]*\)$/\1/p' | head -n 1)
        # A cluster of the system's own would take a port and memory for nothing; the tests make theirs.
        mkdir -p /etc/postgresql-common/createcluster.d
        [ -e /etc/postgresql-common/createcluster.conf ] ||
            echo 'create_main_cluster = false' >/etc/postgresql-common/createcluster.d/flowkit.conf
        add "postgresql-$version" "postgresql-$version-postgis-3"
    fi
    if ! has_java; then
        if knows openjdk-17-jre-headless; then add openjdk-17-jre-headless; else add default-jre-headless; fi
    fi
    has_poppler || add poppler-utils
    has_strace || add strace
    has_asciidoctor || add ruby-asciidoctor-pdf
    has_chromium || add chromium
fi

left=$(missing)
if [ -n "$left" ]; then
    why='needs root and apt-get'
    may && why='apt-get could not install it'
    echo "Left out: ${left%, } ($why); tests that need it are skipped."
    [ "${REQUIRE_ENGINES:-0}" = 1 ] && exit 1
fi
exit 0
