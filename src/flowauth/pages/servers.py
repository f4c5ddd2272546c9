"""Administration: servers, and the documents that tell what each lets one do."""

import base64
import json
import zlib
from typing import Any

import sqlalchemy as sa
from fastapi import APIRouter, Request
from sqlalchemy.orm import Session
from starlette.datastructures import FormData, UploadFile
from starlette.responses import Response

from flowauth.access import Administrator, Id, Posted
from flowauth.errors import Refused
from flowauth.pages import forms
from flowauth.pages.lists import listed, query_text
from flowauth.pages.render import counted, page, then, weigh
from flowauth.pages.users import ended
from flowauth.services import servers, tokens
from flowauth.tables import Role, Scope

router = APIRouter()
MOST_NAMES = 100
"""Scopes of a difference that are named."""


@router.get("/manage/servers")
def all_servers(request: Request, person: Administrator) -> Response:
    """List the servers."""
    find = query_text(request)
    with request.app.state.database.read() as session:
        return page(request, "servers.html", servers=listed(session, request, servers.search(find)), find=find)


@router.get("/manage/servers/new")
def ask_for_server(request: Request, person: Administrator) -> Response:
    """Ask for a new server."""
    return page(request, "new_server.html", typed=None)


@router.post("/manage/servers/new")
def add_server(request: Request, person: Administrator, form: Posted) -> Response:
    """Add a server by its document."""
    try:
        limits = forms.limits(form)
        document, _ = _document(form)
        with request.app.state.database.write() as session:
            address = forms.text(form, "document_url") or None
            server = servers.create(session, person.user.username, document, limits, address)
            session.flush()
    except Refused as refused:
        return page(request, "new_server.html", refused.status, typed=forms.kept(form), refused=refused)
    return then(
        request,
        f"/manage/servers/{server.id}",
        f"The server '{server.name}' is there, with {counted(len(document.scopes), 'scope')}; make its roles next.",
    )


@router.get("/manage/servers/{server_id}")
def one_server(request: Request, server_id: Id, person: Administrator) -> Response:
    """Show a server."""
    with request.app.state.database.read() as session:
        return _show(request, session, server_id)


@router.post("/manage/servers/{server_id}")
def change_server(request: Request, server_id: Id, person: Administrator, form: Posted) -> Response:
    """Change a server's limits, or the address of its document."""
    database = request.app.state.database
    try:
        limits = forms.limits(form)
        with database.write() as session:
            server, live = servers.find(session, server_id), tokens.number_alive(session)
            servers.change(session, person.user.username, server, limits, forms.text(form, "document_url") or None)
            weigh(
                form,
                f"Change the limits of '{server.name}'?",
                ended(live - tokens.number_alive(session)),
                "Change the limits",
                f"/manage/servers/{server_id}",
            )
    except Refused as refused:
        with database.read() as session:
            return _show(request, session, server_id, form, refused)
    return then(request, f"/manage/servers/{server_id}", "The server is changed.")


@router.post("/manage/servers/{server_id}/document")
def take_document(request: Request, server_id: Id, person: Administrator, form: Posted) -> Response:
    """Show what a server's new document changes, and take it over once that was seen."""
    database = request.app.state.database
    try:
        document, packed = _document(form)
        if not forms.ticked(form, "seen"):
            with database.read() as session:
                server = servers.find(session, server_id)
                changed = servers.difference(session, server, document)
                return page(
                    request,
                    "document.html",
                    server=server,
                    changed=changed,
                    packed=packed,
                    most=MOST_NAMES,
                )
        with database.write() as session:
            server = servers.find(session, server_id)
            changed = servers.follow(session, person.user.username, server, document)
    except Refused as refused:
        with database.read() as session:
            return _show(request, session, server_id, form, refused)
    counts = f"{counted(len(changed.added), 'scope')} came, {counted(len(changed.gone), 'scope')} went."
    return then(request, f"/manage/servers/{server_id}", f"The document is taken over: {counts}")


@router.post("/manage/servers/{server_id}/delete")
def delete_server(request: Request, server_id: Id, person: Administrator, form: Posted) -> Response:
    """Delete a server with its roles."""
    with request.app.state.database.write() as session:
        server, live = servers.find(session, server_id), tokens.number_alive(session)
        name, roles = server.name, [role.name for role in server.roles]
        servers.delete(session, person.user.username, server)
        losses = [f"FlowAuth makes no more tokens for '{name}'."]
        if roles:
            names = ", ".join(sorted(roles)[:10]) + (" and others" if len(roles) > 10 else "")
            losses.append(f"{counted(len(roles), 'role')} and who holds them are lost: {names}.")
        if gone := live - tokens.number_alive(session):
            losses.append(
                f"FlowAuth forgets {counted(gone, 'live token')} and can no longer revoke them; the server "
                "believes them until they expire. Revoke them first, if they are to end."
            )
        weigh(form, f"Delete the server '{name}'?", losses, f"Delete '{name}'", f"/manage/servers/{server_id}")
    return then(request, "/manage/servers", f"The server '{name}' is deleted.")


def _document(form: FormData) -> tuple[servers.Document, str]:
    """Read the document that a form holds as a file, by its address, or as it was read before; and pack it again."""
    file = form.get("document")
    if packed := forms.text(form, "packed"):
        content = _unpacked(packed)
    elif isinstance(file, UploadFile) and file.size:
        content = file.file.read(servers.LARGEST_DOCUMENT + 1)
    elif address := forms.text(form, "document_url"):
        content = servers.fetch_document(address)
    else:
        raise Refused("Choose the document of the server, or give the server's address.", "document")
    document = servers.read_document(content)
    token = {"x-audience": document.audience, "x-security-scopes": sorted(document.scopes)}
    short = json.dumps({"components": {"securitySchemes": {"token": token}}}).encode()
    return document, base64.b64encode(zlib.compress(short, 9)).decode()


def _unpacked(packed: str) -> bytes:
    try:
        # A little that is sent must not become much.
        return zlib.decompressobj().decompress(base64.b64decode(packed, validate=True), servers.LARGEST_DOCUMENT)
    except (zlib.error, ValueError) as error:
        raise Refused("The document was lost on the way; give it again.", "document") from error


def _show(
    request: Request, session: Session, server_id: int, form: FormData | None = None, refused: Refused | None = None
) -> Response:
    server = servers.find(session, server_id)
    number = sa.select(sa.func.count(), sa.func.count().filter(sa.not_(Scope.enabled)))
    scopes, off = session.execute(number.where(Scope.server_id == server.id)).one()
    select: sa.Select[Any] = sa.select(Role).where(Role.server_id == server.id).order_by(Role.name)
    return page(
        request,
        "server.html",
        refused.status if refused else 200,
        server=server,
        scopes=scopes,
        off=off,
        roles=listed(session, request, select),
        typed=forms.kept(form) if form is not None else None,
        refused=refused,
    )
