// Owns a real Postfix for one test: configuration, queue, login and mailboxes of its own, run beside whatever Postfix
// the machine may have. Needs root, since Postfix drops its privileges itself.

import { execFile, spawn } from 'node:child_process';
import { chown, mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';

import { makeCertificates } from './certificates.mjs';
import { freePort, temporaryDirectory } from './place.mjs';
import { mailOf } from './servers/maildir.mjs';
import { PASSWORD, USER } from './servers/offer.mjs';
import { greeting } from './smtp.mjs';
import { until } from './wait.mjs';

const execute = promisify(execFile);
const NOBODY = { uid: 65534, gid: 65534 };

export class Postfix {
  /**
   * Starts it with a mailbox for each of `addresses`. `mechanisms` are the ways to log in that it offers, and `settings`
   * parameters of main.cf that differ.
   */
  static async start(t, addresses, { mechanisms = 'PLAIN LOGIN', settings = {} } = {}) {
    if (process.getuid() !== 0) throw new Error('Postfix must be started as root');
    const root = await temporaryDirectory();
    const postfix = new Postfix(root, await freePort(), await freePort());
    await postfix.configure(addresses, mechanisms, settings);
    const running = spawn('postfix', ['-c', postfix.config, 'start-fg'], { stdio: 'ignore' });
    running.on('error', () => {}); // That it does not answer is noticed below.
    t.after(() => execute('postfix', ['-c', postfix.config, 'stop']));
    await until('a greeting from Postfix', () => greeting(postfix.port));
    return postfix;
  }

  constructor(root, port, tlsPort) {
    Object.assign(this, { root, port, tlsPort, config: join(root, 'config') });
  }

  /** With a login; STARTTLS where the URL says nothing else. */
  get url() {
    return `smtp://${this.login}@localhost:${this.port}`;
  }

  /** The same over TLS from the first byte. */
  get tlsUrl() {
    return `smtps://${this.login}@localhost:${this.tlsPort}`;
  }

  get login() {
    return `${encodeURIComponent(USER)}:${encodeURIComponent(PASSWORD)}`;
  }

  get password() {
    return PASSWORD;
  }

  /** Waits for mail number `count` of that mailbox and answers its bytes. */
  mail(address, count, ms) {
    return mailOf(join(this.root, 'mail'), address, count, ms);
  }

  /** What Postfix wrote into its log. */
  log() {
    return readFile(join(this.root, 'postfix.log'), 'utf8');
  }

  async configure(addresses, mechanisms, settings) {
    const { root } = this;
    const { stdout } = await execute('id', ['-u', 'postfix']);
    const postfixUser = Number(stdout);
    for (const directory of ['config', 'config/sasl', 'queue', 'data', 'mail']) await mkdir(join(root, directory));
    await chown(join(root, 'data'), postfixUser, 0);
    await chown(join(root, 'mail'), NOBODY.uid, NOBODY.gid);
    const certificates = await makeCertificates(root);
    this.authorityFile = certificates.authorityFile;
    await writeFile(join(root, 'config', 'main.cf'), mainConfig(root, certificates, addresses, settings));
    await writeFile(join(root, 'config', 'master.cf'), services(this.port, this.tlsPort));
    const logins = join(root, 'logins');
    await writeFile(join(root, 'config', 'sasl', 'smtpd.conf'),
      `pwcheck_method: auxprop\nauxprop_plugin: sasldb\nsasldb_path: ${logins}\nmech_list: ${mechanisms}\n`);
    const [user, realm] = USER.split('@');
    const adding = execute('saslpasswd2', ['-p', '-c', '-f', logins, '-u', realm, user]);
    adding.child.stdin.end(PASSWORD);
    await adding;
    await chown(logins, postfixUser, 0);
  }
}

/** Unless `settings` say otherwise, mail is taken only over TLS and only after a login; it ends in a Maildir. */
function mainConfig(root, { certFile, keyFile }, addresses, settings) {
  const mailboxes = addresses.map((address) => `${address}=${address}/`).join(', ');
  return Object.entries({
    compatibility_level: '3.6',
    queue_directory: `${root}/queue`,
    data_directory: `${root}/data`,
    maillog_file: `${root}/postfix.log`,
    maillog_file_prefixes: root,
    inet_interfaces: '127.0.0.1',
    inet_protocols: 'ipv4',
    myhostname: 'relay.regain.test',
    mydestination: '',
    alias_maps: '',
    virtual_mailbox_domains: [...new Set(addresses.map((address) => address.split('@')[1]))].join(', '),
    virtual_mailbox_base: `${root}/mail`,
    virtual_mailbox_maps: `inline:{ ${mailboxes} }`,
    virtual_uid_maps: `static:${NOBODY.uid}`,
    virtual_gid_maps: `static:${NOBODY.gid}`,
    smtpd_tls_cert_file: certFile,
    smtpd_tls_key_file: keyFile,
    smtpd_tls_security_level: 'encrypt',
    smtpd_tls_auth_only: 'yes',
    smtpd_tls_received_header: 'yes',
    smtpd_sasl_type: 'cyrus',
    smtpd_sasl_auth_enable: 'yes',
    smtpd_sasl_authenticated_header: 'yes',
    smtpd_sasl_local_domain: 'regain.test',
    smtpd_relay_restrictions: 'permit_sasl_authenticated, reject',
    smtpd_recipient_restrictions: 'permit_sasl_authenticated, reject',
    default_transport: 'error',
    ...settings,
  }).map(([key, value]) => `${key} = ${value}\n`).join('');
}

/** Debian's master.cf with its own ports, without chroot and without what local delivery does not need. */
function services(port, tlsPort) {
  return `127.0.0.1:${port} inet n - n - - smtpd
127.0.0.1:${tlsPort} inet n - n - - smtpd
  -o smtpd_tls_wrappermode=yes
postlog unix-dgram n - n - 1 postlogd
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
proxymap unix - - n - - proxymap
anvil unix - - n - 1 anvil
virtual unix - n n - - virtual
error unix - - n - - error
retry unix - - n - - error
`;
}
