// Owns a relay made of `smtp-server` from npm, nodemailer's sister, in this process.

import { domainToASCII } from 'node:url';

import { SMTPServer } from 'smtp-server';

import { makeCertificates } from '../certificates.mjs';
import { freePort, temporaryDirectory } from '../place.mjs';
import { until } from '../wait.mjs';
import { PASSWORD, USER } from './offer.mjs';

export class SmtpServer {
  static async start(t, offer) {
    const relay = new SmtpServer(await freePort());
    let certificates = {};
    if (offer.tls !== 'none') {
      certificates = await makeCertificates(await temporaryDirectory());
      relay.authorityFile = certificates.authorityFile;
    }
    const server = new SMTPServer(relay.options(offer, certificates));
    server.on('error', (error) => relay.errors.push(error));
    t.after(() => new Promise((resolve) => server.close(resolve)));
    await new Promise((resolve) => server.listen(relay.port, '127.0.0.1', resolve));
    return relay;
  }

  constructor(port) {
    Object.assign(this, { port, mails: [], errors: [] });
  }

  options({ tls, login, pipelining = true, eightBit = true, utf8 = true, size, hideSize = false }, { key, cert }) {
    return {
      key,
      cert,
      secure: tls === 'smtps',
      hidePIPELINING: !pipelining,
      hide8BITMIME: !eightBit,
      hideSMTPUTF8: !utf8,
      size,
      hideSize,
      rejectOversized: true,
      disableReverseLookup: true,
      // A kept connection is cut, not waited for.
      closeTimeout: 1,
      authMethods: login ? [login] : [],
      disabledCommands: [...(login ? [] : ['AUTH']), ...(tls === 'starttls' ? [] : ['STARTTLS'])],
      authOptional: !login,
      onAuth: (auth, session, done) => {
        const isRight = auth.username === USER &&
          (auth.method === 'CRAM-MD5' ? auth.validatePassword(PASSWORD) : (auth.accessToken ?? auth.password) === PASSWORD);
        if (isRight && auth.method === login) return done(null, { user: auth.username });
        done(new Error('Invalid username or password'));
      },
      onMailFrom: (address, session, done) => {
        done(tls === 'none' || session.secure ? null : Object.assign(new Error('TLS is required'), { responseCode: 530 }));
      },
      onData: (stream, session, done) => {
        const pieces = [];
        stream.on('data', (bytes) => pieces.push(bytes));
        stream.on('end', () => {
          if (!stream.sizeExceeded) {
            const to = session.envelope.rcptTo.map(({ address }) => onTheWire(address));
            this.mails.push({ to, raw: Buffer.concat(pieces), tls: session.secure, login: session.user ?? null });
          }
          done();
        });
      },
    };
  }

  async mail(address, count = 1) {
    return (await this.taking(address, count)).raw;
  }

  async taken(address, count = 1) {
    const { tls, login } = await this.taking(address, count);
    return { tls, login };
  }

  taking(address, count) {
    return until(`mail number ${count} for ${address}`, () => this.mails.filter(({ to }) => to.includes(address))[count - 1]);
  }
}

/** It shows domains decoded. */
function onTheWire(address) {
  const [local, domain] = address.split('@');
  return `${local}@${domainToASCII(domain)}`;
}
