"""FlowAuth opened as its settings say: its database, and what must be there before anybody is served."""

from flowauth.database import Database
from flowauth.services import keys, people
from flowauth.settings import Settings


def opened(settings: Settings) -> tuple[Database, keys.Vault]:
    """Open the database; the key of the settings signs, and the first administrator is made if there is none.

    Raises DatabaseError if the database cannot be opened, and Refused if the settings are not taken.
    """
    database = Database(
        settings.db_uri, settings.flowauth_db_password.get_secret_value(), settings.flowauth_breached_passwords
    )
    vault = keys.Vault(settings.flowauth_fernet_key.get_secret_value())
    try:
        with database.write() as session:
            keys.admit(session, vault, settings.private_jwt_signing_key.get_secret_value())
            if settings.flowauth_admin_username and settings.flowauth_admin_password:
                people.first_administrator(
                    session,
                    settings.flowauth_admin_username,
                    settings.flowauth_admin_password.get_secret_value(),
                    generated=settings.flowauth_admin_password_generated,
                )
    except BaseException:
        database.close()
        raise
    return database, vault
