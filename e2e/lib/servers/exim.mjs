// Owns a real Exim for one test: configuration, spool, login and mailboxes of its own. `./test` unpacks Debian's program
// under `target/`, since its package cannot be installed beside Postfix. It insists on the user that the package would
// make, whom libnss-wrapper gives it without a change to the machine.

import { execFile, spawn } from 'node:child_process';
import { chown, mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';

import { makeCertificates } from '../certificates.mjs';
import { freePort, temporaryDirectory } from '../place.mjs';
import { greeting } from '../smtp.mjs';
import { until } from '../wait.mjs';
import { mailOf } from './maildir.mjs';
import { DOMAINS, PASSWORD, PEOPLE, USER } from './offer.mjs';

const PROGRAM = process.env.E2E_EXIM ?? new URL('../../../target/exim/usr/sbin/exim4', import.meta.url).pathname;
const NOBODY = 65534;

export class Exim {
  static async start(t, offer) {
    if (process.getuid() !== 0) throw new Error('Exim must be started as root');
    const exim = new Exim(await temporaryDirectory(), await freePort(), offer);
    await exim.configure();
    const child = spawn(PROGRAM, ['-C', exim.config, '-bdf'], { env: exim.environment, stdio: ['ignore', 'ignore', 'pipe'] });
    let complaints = '';
    child.stderr.on('data', (bytes) => (complaints += bytes));
    const ended = new Promise((resolve, reject) => {
      child.once('error', reject);
      child.once('exit', resolve);
    });
    ended.catch(() => {}); // That it does not answer is noticed below.
    t.after(() => {
      child.kill();
      return ended;
    });
    await until('Exim to listen', async () => {
      if (child.exitCode !== null) throw new Error(complaints);
      return offer.tls === 'smtps' ? /listening|daemon started/.test(await exim.log()) : greeting(exim.port);
    });
    return exim;
  }

  constructor(root, port, offer) {
    Object.assign(this, { root, port, offer, config: join(root, 'exim.conf') });
  }

  get environment() {
    return {
      PATH: process.env.PATH,
      LD_PRELOAD: 'libnss_wrapper.so',
      NSS_WRAPPER_PASSWD: join(this.root, 'passwd'),
      NSS_WRAPPER_GROUP: join(this.root, 'group'),
    };
  }

  mail(address, count) {
    return mailOf(join(this.root, 'mail'), address, count);
  }

  async taken(address, count = 1) {
    await this.mail(address, count);
    const arrivals = (await this.log()).split('\n').filter((line) => line.includes(' <= '));
    const line = arrivals[count - 1];
    return { tls: / X=TLS/.test(line), login: / A=\w+:(\S+)/.exec(line)?.[1] ?? null };
  }

  /** What Exim wrote into its log. */
  log() {
    return readFile(join(this.root, 'log', 'main'), 'utf8');
  }

  async configure() {
    const { root } = this;
    for (const directory of ['spool', 'log', 'mail']) {
      await mkdir(join(root, directory));
      await chown(join(root, directory), NOBODY, NOBODY);
    }
    await writeFile(join(root, 'passwd'), `root:x:0:0::/root:/bin/sh\nDebian-exim:x:${NOBODY}:${NOBODY}::/nonexistent:/bin/false\n`);
    await writeFile(join(root, 'group'), `root:x:0:\nmail:x:8:\nDebian-exim:x:${NOBODY}:\n`);
    const certificates = await makeCertificates(root);
    this.authorityFile = certificates.authorityFile;
    await chown(certificates.keyFile, NOBODY, NOBODY);
    await writeFile(this.config, configuration(this, certificates));
  }
}

/**
 * Deliveries run as Exim's own user, in the same way as the daemon. Exim minds pipelining that it has not announced: it
 * answers with 554 and hangs up (`smtp_enforce_sync` is on unless switched off).
 */
function configuration({ root, port, offer }, { certFile, keyFile }) {
  const { tls, login, pipelining = true, eightBit = true, utf8 = true, size, hideSize } = offer;
  if (hideSize) throw new Error('Exim always announces its limit');
  return `
primary_hostname = relay.regain.test
exim_path = ${PROGRAM}
keep_environment = LD_PRELOAD : NSS_WRAPPER_PASSWD : NSS_WRAPPER_GROUP
spool_directory = ${root}/spool
log_file_path = ${root}/log/%s
pid_file_path = ${root}/spool/pid
deliver_drop_privilege = true
local_interfaces = 127.0.0.1
daemon_smtp_ports = ${port}
tls_on_connect_ports = ${tls === 'smtps' ? port : ''}
tls_advertise_hosts = ${tls === 'starttls' ? '*' : ''}
tls_certificate = ${certFile}
tls_privatekey = ${keyFile}
auth_advertise_hosts = ${login ? '${if def:tls_in_cipher {*}}' : ''}
pipelining_advertise_hosts = ${pipelining ? '*' : ''}
chunking_advertise_hosts =
smtputf8_advertise_hosts = ${utf8 ? '*' : ''}
accept_8bitmime = ${eightBit}
smtp_accept_queue_per_connection = 0
message_size_limit = ${size ?? '50M'}
host_lookup =
helo_lookup_domains =
qualify_domain = regain.test
acl_smtp_rcpt = recipient
acl_smtp_data = accept

begin acl
recipient:
${tls === 'none' ? '' : '  require message = TLS is required\n    encrypted = *\n'}
${login ? '  require message = a login is required\n    authenticated = *\n' : ''}
  require message = relay not permitted
    domains = ${DOMAINS.join(' : ')}
  require verify = recipient
  accept

begin routers
local:
  driver = accept
  domains = ${DOMAINS.join(' : ')}
  local_parts = ${PEOPLE.join(' : ')}
  transport = maildir

begin transports
maildir:
  driver = appendfile
  maildir_format
  create_directory
  directory = ${root}/mail/$local_part_data@$domain_data
  return_path_add

begin authenticators
plain:
  driver = plaintext
  public_name = PLAIN
  server_prompts = :
  server_advertise_condition = ${login === 'PLAIN'}
  server_condition = \${if and {{eq{$auth2}{${USER}}}{eq{$auth3}{${PASSWORD}}}}}
  server_set_id = $auth2
login:
  driver = plaintext
  public_name = LOGIN
  server_prompts = <| Username: | Password:
  server_advertise_condition = ${login === 'LOGIN'}
  server_condition = \${if and {{eq{$auth1}{${USER}}}{eq{$auth2}{${PASSWORD}}}}}
  server_set_id = $auth1
cram:
  driver = cram_md5
  public_name = CRAM-MD5
  server_advertise_condition = ${login === 'CRAM-MD5'}
  server_secret = \${if eq{$auth1}{${USER}}{${PASSWORD}}fail}
  server_set_id = $auth1
`;
}
