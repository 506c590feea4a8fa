// Owns the two sides of the ledger: what clients were promised, and what the relay got. Judges nothing.

import { messageIdOf } from './mail.mjs';
import { pause } from './wait.mjs';

/** What came of a request: `kept` by a 2xx, `refused` by another answer, `unsent`, or `unknown`. */
export async function outcomeOf(asking) {
  try {
    const { status } = await asking;
    return status >= 200 && status < 300 ? 'kept' : 'refused';
  } catch (error) {
    // Nobody listened, so nothing was sent. Whatever else went wrong may have gone wrong behind the commit.
    return error.cause?.code === 'ECONNREFUSED' ? 'unsent' : 'unknown';
  }
}

/** What clients know: of each name what was asked for and what came of it. A name is asked for once. */
export class Promises {
  constructor() {
    this.byName = new Map();
  }

  /** Sends until something went out, and writes the outcome down. Answers it; `undefined` where it is given up before. */
  async ask(name, kind, send, isOver) {
    for (;;) {
      if (isOver()) return undefined;
      const outcome = await outcomeOf(send());
      if (outcome !== 'unsent') {
        this.byName.set(name, { kind, outcome });
        return outcome;
      }
      await pause(50);
    }
  }

  /** The names of that kind with one of these outcomes. */
  names(kind, ...outcomes) {
    return [...this.byName].filter(([, asked]) => asked.kind === kind && outcomes.includes(asked.outcome)).map(([name]) => name);
  }
}

/** What the relay got: the copies of each mail, whether it took responsibility or not. */
export class Received {
  constructor(relay) {
    this.relay = relay;
    this.byId = new Map();
    this.byName = new Map();
    /** Called for each mail, after it was written down; what it answers is the relay's reply. */
    this.dot = undefined;
    relay.script.dot = (session) => this.take(session);
  }

  take(session) {
    const mail = this.relay.mails.pop();
    const id = messageIdOf(mail.raw);
    const [to] = mail.to;
    if (!this.byId.has(id)) {
      this.byId.set(id, { id, to, raw: mail.raw, copies: [], differing: 0 });
      this.byName.set(to, [...(this.byName.get(to) ?? []), this.byId.get(id)]);
    }
    const known = this.byId.get(id);
    if (!known.raw.equals(mail.raw) || known.to !== to) known.differing += 1;
    mail.raw = undefined;
    known.copies.push({ at: performance.now(), mail });
    // What was said on a connection is not kept.
    session.received = '';
    session.commands.length = 0;
    return this.dot?.(session);
  }

  /** The mails to a name, by the time of their first copy. */
  to(name) {
    return this.byName.get(name) ?? [];
  }
}
