// Owns how Postfix is told what to offer.

import { Postfix } from '../postfix.mjs';
import { DOMAINS, PEOPLE } from './offer.mjs';

export class PostfixRelay {
  /** `settings` are parameters of main.cf, beyond what the offer asks for. */
  static async start(t, offer, settings = {}) {
    const addresses = DOMAINS.flatMap((domain) => PEOPLE.map((person) => `${person}@${domain}`));
    const postfix = await Postfix.start(t, addresses, { mechanisms: offer.login, settings: { ...settingsFor(offer), ...settings } });
    return new PostfixRelay(postfix, offer);
  }

  constructor(postfix, offer) {
    Object.assign(this, { postfix, port: offer.tls === 'smtps' ? postfix.tlsPort : postfix.port, authorityFile: postfix.authorityFile });
  }

  mail(address, count, ms) {
    return this.postfix.mail(address, count, ms);
  }

  /** As the mail's own Received line has it: it says `ESMTPSA` for TLS and a login. */
  async taken(address, count) {
    const received = /^Received: .*?;/ms.exec((await this.mail(address, count)).toString('latin1'))[0];
    return { tls: /\(using TLS/.test(received), login: /Authenticated sender: ([^)\s]+)/.exec(received)?.[1] ?? null };
  }
}

function settingsFor({ tls, login, pipelining = true, eightBit = true, utf8 = true, size, hideSize }) {
  const hidden = [['pipelining', !pipelining], ['8bitmime', !eightBit], ['smtputf8', !utf8], ['size', hideSize]].filter(([, hide]) => hide);
  return {
    smtpd_discard_ehlo_keywords: hidden.map(([keyword]) => keyword).join(', '),
    ...(size && { message_size_limit: String(size) }),
    // Commands sent ahead without leave are answered with 503.
    smtpd_data_restrictions: 'reject_unauth_pipelining',
    ...(tls === 'none' && { smtpd_tls_security_level: 'none' }),
    ...(!login && {
      smtpd_sasl_auth_enable: 'no',
      mynetworks: '127.0.0.0/8',
      smtpd_relay_restrictions: 'reject_unauth_destination',
      smtpd_recipient_restrictions: 'permit_mynetworks, reject',
    }),
  };
}
