// The try-it page: sends what a client would send, and shows what comes back.
"use strict";

const form = document.getElementById("try");
const result = document.getElementById("result");
const count = document.getElementById("count");

const requests = {
  register: ({ email, password }) => ["/auth", signIn(email, password, true)],
  signIn: ({ email, password }) => ["/auth", signIn(email, password, false)],
  reset: ({ email }) => ["/auth/password/updateAccount", mailAction(email, "reset_password")],
  confirm: ({ email }) => ["/auth/password/updateAccount", mailAction(email, "request_email_confirmation")],
};

function signIn(email, password, register) {
  return { provider: "password", data: email, user_info: { password, register } };
}

function mailAction(email, action) {
  return { provider_id: email, data: { action } };
}

function element(name, className, text) {
  const made = document.createElement(name);
  made.className = className;
  made.textContent = text;
  return made;
}

function show(path, answer, body) {
  const line = `POST ${path} \u2192 ${answer.status}`;
  const parts = [element("p", `status ${answer.ok ? "good" : "bad"}`, line), element("pre", "", body)];
  if (answer.ok && path !== "/auth") {
    const hint = element("p", "hint", "If there is such an account, its mail is in the ");
    const link = element("a", "", "mailbox");
    link.href = "/dev/mailbox";
    hint.append(link, ".");
    parts.push(hint);
  }
  result.replaceChildren(...parts);
}

async function send(name) {
  if (!form.reportValidity()) return;
  const [path, body] = requests[name](Object.fromEntries(new FormData(form)));
  try {
    const answer = await fetch(path, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify(body),
    });
    const text = await answer.text();
    let shown = text;
    try {
      shown = JSON.stringify(JSON.parse(text), null, 2);
    } catch {
      // Not JSON: shown as it came.
    }
    show(path, answer, shown);
  } catch (error) {
    result.replaceChildren(element("p", "status bad", `No answer: ${error.message}`));
  }
}

async function look() {
  try {
    const state = await (await fetch("/dev/mailbox/state")).json();
    count.textContent = state.count ? `(${state.count})` : "";
  } catch {
    // The server is stopped or restarting; the next look tells.
  }
}

for (const button of form.querySelectorAll("button")) {
  button.addEventListener("click", () => send(button.dataset.do));
}
form.addEventListener("submit", (event) => event.preventDefault());
look();
setInterval(look, 1500);
