// Owns what the relays of `servers.test.mjs` have in common: what one may offer, the login it wants, and the URL that
// an operator would write for it.
//
// An offer is `{tls, login, pipelining, eightBit, size, hideSize}`:
//   tls         'none', 'starttls' or 'smtps'; with the last two, nothing is taken in the clear
//   login       the one mechanism offered ('PLAIN', 'LOGIN', …), without which nothing is taken; absent: none is offered
//   pipelining  whether PIPELINING is announced; true where it is left out
//   eightBit    whether 8BITMIME is announced; true where it is left out
//   utf8        whether SMTPUTF8 is announced; true where it is left out
//   size        the most bytes it takes; `hideSize` keeps it from being announced
//
// A relay is started by `start(t, offer)` and has `port`, `authorityFile` (with TLS), `mail(address, count)`, which waits
// for the bytes that it keeps of that mail, and `taken(address, count)`: `{tls, login}`, how it says it got it.

export const USER = 'mailer@regain.test';
export const PASSWORD = 's3cret: with @ and %';

/** Whom the relays keep mail for: all of these at each domain. The second is how `bücher.test` is written on the wire. */
export const CROWD = Array.from({ length: 12 }, (_, i) => `user${i}`);
export const PEOPLE = ['ada', 'ben', 'cleo', 'dan', ...CROWD];
export const DOMAINS = ['users.test', 'xn--bcher-kva.test'];

/** The connection string for a relay with that offer, with the right password or another. */
export function urlOf(offer, port, password = PASSWORD) {
  const login = offer.login ? `${encodeURIComponent(USER)}:${encodeURIComponent(password)}@` : '';
  const { scheme, query } = {
    none: { scheme: 'smtp', query: '?ignoreTLS=true' },
    starttls: { scheme: 'smtp', query: '?requireTLS=true' },
    smtps: { scheme: 'smtps', query: '' },
  }[offer.tls];
  return `${scheme}://${login}localhost:${port}${query}`;
}
