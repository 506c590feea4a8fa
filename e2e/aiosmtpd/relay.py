"""A relay made of aiosmtpd. Takes its offer (lib/servers/offer.mjs) as JSON in the first argument, says `ready`, and
keeps each mail in the directory as N.eml beside N.json, which says how it came."""

import asyncio
import itertools
import json
import os
import ssl
import sys

from aiosmtpd.smtp import SMTP, AuthResult, LoginPassword

numbers = itertools.count()


class Keeper:
    """Writes down what arrives in one session."""

    def __init__(self, offer):
        self.offer = offer

    async def handle_EHLO(self, server, session, envelope, hostname, responses):
        session.host_name = hostname
        hidden = set()
        if not self.offer.get("eightBit", True):
            hidden.add("8BITMIME")
        if self.offer.get("hideSize"):
            hidden.add("SIZE")
        return [line for line in responses if line[4:].split(" ")[0] not in hidden]

    async def handle_DATA(self, server, session, envelope):
        number = next(numbers)
        name = os.path.join(self.offer["directory"], str(number))
        login = session.auth_data.decode() if session.authenticated else None
        over_tls = server.transport.get_extra_info("cipher") is not None
        with open(name + ".eml", "wb") as file:
            file.write(envelope.original_content)
        # The other process looks for this one, so it comes last and at once.
        with open(name + ".part", "w") as file:
            json.dump({"to": envelope.rcpt_tos, "tls": over_tls, "login": login}, file)
        os.rename(name + ".part", name + ".json")
        return f"250 2.0.0 kept as {number}"


def authenticator(offer):
    def authenticate(server, session, envelope, mechanism, data):
        is_right = isinstance(data, LoginPassword) and (data.login.decode(), data.password.decode()) == (
            offer["user"],
            offer["password"],
        )
        # Where it is not `handled`, aiosmtpd itself answers the client.
        return AuthResult(success=is_right, handled=False, auth_data=data.login if is_right else None)

    return authenticate


async def main():
    offer = json.loads(sys.argv[1])
    if offer.get("pipelining", True):
        sys.exit("aiosmtpd does not know PIPELINING")
    context = None
    if offer["tls"] != "none":
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(offer["certFile"], offer["keyFile"])
    login = offer.get("login")

    def session():
        return SMTP(
            Keeper(offer),
            hostname="relay.regain.test",
            tls_context=context if offer["tls"] == "starttls" else None,
            enable_SMTPUTF8=offer.get("utf8", True),
            require_starttls=offer["tls"] == "starttls",
            data_size_limit=offer.get("size", 33554432),
            auth_required=bool(login),
            # With TLS from the first byte it would not see that there is TLS.
            auth_require_tls=offer["tls"] == "starttls",
            auth_exclude_mechanism={"PLAIN", "LOGIN"} - {login},
            authenticator=authenticator(offer),
        )

    server = await asyncio.get_running_loop().create_server(
        session, "127.0.0.1", offer["port"], ssl=context if offer["tls"] == "smtps" else None
    )
    print("ready", flush=True)
    await server.serve_forever()


asyncio.run(main())
