// The API page: shows /openapi.json, and sends what the reader asks for. What comes back is text, never markup.
"use strict";

const METHODS = ["get", "post", "put", "delete"];

const at = (id) => document.getElementById(id);
const tokenField = at("token");

/** The document, and what its examples hold in place of a real session: see `real`. */
let api = {};
let sample = { token: "", identity: "" };
/** Whose the token is that this page sends. */
let identity = "";

/** An element with attributes and children; text is text. */
function make(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value === true) made.setAttribute(key, "");
    else if (value !== undefined && value !== false) made.setAttribute(key, value);
  }
  made.append(...children.filter((child) => child !== undefined && child !== ""));
  return made;
}

/** Paragraphs, with `code` between backticks. */
function prose(text = "") {
  return text.split("\n\n").filter(Boolean).map((paragraph) => make("p", {}, ...inline(paragraph)));
}

function inline(text) {
  return text.split("`").map((part, index) => (index % 2 ? make("code", {}, part) : part));
}

function resolve(thing) {
  if (!thing?.$ref) return thing ?? {};
  return thing.$ref.slice(2).split("/").reduce((found, key) => found[key], api);
}

/** What a value may be, in a few words. */
function kind(schema) {
  const types = [schema.type ?? []].flat();
  const words = [];
  if (schema.enum) words.push(schema.enum.map((word) => JSON.stringify(word)).join(" or "));
  else if (types.length) words.push(types.join(" or "));
  const { minLength: min, maxLength: max } = schema;
  if (min > 1 && max) words.push(`${min} to ${max} characters`);
  else if (min > 1) words.push(`at least ${min} characters`);
  else if (max) words.push(`at most ${max} characters`);
  return words.join(", ");
}

/** A schema as nested lists. */
function outline(given) {
  const schema = resolve(given);
  const choices = schema.anyOf ?? schema.oneOf;
  if (choices) {
    const items = choices.map((one) => {
      const shape = resolve(one);
      const title = shape.title ?? shape.description ?? "";
      return make("li", {}, make("strong", {}, title), ...outline(one));
    });
    return [make("p", { class: "hint" }, "One of these:"), make("ul", { class: "schema" }, ...items)];
  }
  if (schema.items) return outline(schema.items);
  const items = Object.entries(schema.properties ?? {}).map(([name, raw]) => {
    const property = resolve(raw);
    const inner = property.items ? resolve(property.items) : property;
    const said = [kind(property), schema.required?.includes(name) ? "" : "may be left out"].filter(Boolean).join("; ");
    return make("li", {}, make("code", {}, name), " ", make("span", { class: "kind" }, said), " ",
      ...inline(property.description ?? ""), ...(inner.properties || inner.anyOf || inner.oneOf ? outline(inner) : []));
  });
  return items.length ? [make("ul", { class: "schema" }, ...items)] : [];
}

const pretty = (value) => JSON.stringify(value, null, 2);

/** An example with the session of this page in place of the made-up one. */
function real(text) {
  let filled = text;
  if (tokenField.value && sample.token) filled = filled.replaceAll(sample.token, tokenField.value);
  if (identity && sample.identity) filled = filled.replaceAll(sample.identity, identity);
  return filled;
}

function contentOf(holder) {
  const [media, content] = Object.entries(holder.content ?? {})[0] ?? [];
  return { media, content, examples: Object.values(content?.examples ?? {}) };
}

function shownExamples(examples) {
  return examples.map(({ summary, value }) => make("div", { class: "example" },
    make("p", { class: "hint" }, summary ?? ""), make("pre", { tabindex: "0" }, pretty(value))));
}

function answersOf(operation) {
  return Object.entries(operation.responses).map(([status, raw]) => {
    const response = resolve(raw);
    const headers = Object.entries(response.headers ?? {}).map(([name, header]) => make("li", {}, make("code", {}, name), " ",
      ...inline(header.schema?.description ?? "")));
    const contents = Object.entries(response.content ?? {}).flatMap(([media, content]) => [
      make("p", { class: "hint" }, media),
      ...(status < 300 ? outline(content.schema) : []),
      ...shownExamples(Object.values(content.examples ?? {})),
    ]);
    return make("details", { class: "answer" },
      make("summary", {}, make("span", { class: status < 400 ? "good" : "bad" }, status), " ", ...inline(response.description)),
      headers.length ? make("ul", { class: "schema" }, ...headers) : "", ...contents);
  });
}

/** The form that sends a request, and the place for its answer. */
function trial(path, method, operation) {
  const id = operation.operationId;
  const form = make("form", { class: "trial", autocomplete: "off" });
  const parameters = operation.parameters ?? [];
  const fields = parameters.map((parameter) => {
    const field = make("input", { id: `${id}-${parameter.name}`, name: parameter.name, autocomplete: "off",
      spellcheck: "false", required: parameter.required });
    field.dataset.example = parameter.in === "path" ? parameter.example : "";
    form.append(make("label", { for: field.id }, parameter.name), field);
    return field;
  });
  const { media, examples } = contentOf(operation.requestBody ?? {});
  let area;
  if (media) {
    const isForm = media !== "application/json";
    const choice = make("select", { id: `${id}-example` }, ...examples.map(({ summary }, index) => make("option", { value: index }, summary)));
    area = make("textarea", { id: `${id}-body`, rows: 10, spellcheck: "false" });
    const load = () => (area.value = real(pretty(examples[Number(choice.value)].value)));
    choice.addEventListener("change", load);
    area.dataset.untouched = "yes";
    area.addEventListener("input", () => delete area.dataset.untouched);
    choice.addEventListener("change", () => (area.dataset.untouched = "yes"));
    form.append(make("label", { for: choice.id }, "Example"), choice,
      make("label", { for: area.id }, isForm ? "Fields of the form, as JSON" : "Body"), area);
    form.addEventListener("regain:session", () => area.dataset.untouched && load());
    load();
  }
  const fill = () => fields.forEach((field) => {
    if (!field.dataset.touched) field.value = real(field.dataset.example);
  });
  fields.forEach((field) => field.addEventListener("input", () => (field.dataset.touched = "yes")));
  form.addEventListener("regain:session", fill);
  fill();
  const result = make("div", { class: "result", role: "status", "aria-label": "Answer" });
  const needs = Boolean(operation.security);
  form.append(make("div", { class: "buttons" }, make("button", { type: "submit" }, "Send")));
  if (needs) form.append(make("p", { class: "hint" }, "Sends the token of the session above, if there is one."));
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    let target = path;
    const query = new URLSearchParams();
    parameters.forEach((parameter, index) => {
      const value = fields[index].value;
      if (parameter.in === "path") target = target.replace(`{${parameter.name}}`, encodeURIComponent(value));
      else if (value) query.set(parameter.name, value);
    });
    if (query.size) target += `?${query}`;
    const headers = {};
    if (needs && tokenField.value) headers.Authorization = tokenField.value.trim();
    let body;
    try {
      if (media) [headers["Content-Type"], body] = [media, encoded(media, area.value)];
    } catch (error) {
      result.replaceChildren(make("p", { class: "status bad" }, `Not sent: the fields are no JSON object (${error.message})`));
      return;
    }
    await send(method, target, { method: method.toUpperCase(), headers, body, redirect: "manual", cache: "no-store" }, result);
  });
  return [form, result];
}

/** JSON is sent as it was typed, broken or not: how that is answered is worth a look, too. */
function encoded(media, text) {
  return media === "application/json" ? text : new URLSearchParams(JSON.parse(text)).toString();
}

async function send(method, target, request, result) {
  result.replaceChildren(make("p", { class: "hint" }, "Waiting for the answer …"));
  const line = `${method.toUpperCase()} ${target}`;
  try {
    const answer = await fetch(target, request);
    if (answer.type === "opaqueredirect") {
      result.replaceChildren(make("p", { class: "status good" }, `${line} → 302`),
        make("p", { class: "hint" }, "The browser shows no more of a redirect than that."));
      return;
    }
    const text = await answer.text();
    let json;
    try {
      json = JSON.parse(text);
    } catch {
      // No JSON: shown as it came.
    }
    const headers = [...answer.headers].map(([name, value]) => `${name}: ${value}`).join("\n");
    result.replaceChildren(make("p", { class: `status ${answer.ok ? "good" : "bad"}` }, `${line} → ${answer.status}`),
      make("p", { class: "hint" }, "Body"), make("pre", { tabindex: "0", class: "body" }, json === undefined ? text : pretty(json)),
      make("details", {}, make("summary", {}, "Headers"), make("pre", { tabindex: "0" }, headers)));
    if (answer.ok) remember(target, request, json);
  } catch (error) {
    result.replaceChildren(make("p", { class: "status bad" }, `No answer: ${error.message}`));
  }
}

/** Takes the session of a sign-in, and lets go of one that was signed out. */
function remember(target, request, json) {
  const session = json?.refresh_token;
  if (session) hold(session.token);
  else if (target === "/auth/revoke" && JSON.parse(request.body).token === tokenField.value) hold("");
}

/** Whose a token is says the token itself. */
function ownerOf(token) {
  try {
    return JSON.parse(atob(token.split(":")[0])).identity ?? "";
  } catch {
    return "";
  }
}

function hold(token) {
  tokenField.value = token;
  identity = ownerOf(token);
  at("session-hint").textContent = token
    ? `Requests that need a session send this token, of ${identity || "nobody that can be told"}.`
    : "Register or sign in below, and requests that need a session send its token.";
  document.querySelectorAll("form.trial").forEach((form) => form.dispatchEvent(new Event("regain:session")));
}

function article(path, method, operation) {
  const body = operation.requestBody;
  const { media, content } = contentOf(body ?? {});
  const parameters = (operation.parameters ?? []).map((parameter) => make("li", {}, make("code", {}, parameter.name), " ",
    make("span", { class: "kind" }, [`in the ${parameter.in}`, kind(resolve(parameter.schema))].join("; ")), " ",
    ...inline(resolve(parameter.schema).description ?? "")));
  const title = (text) => make("h3", {}, text);
  return make("details", { class: "card operation", id: operation.operationId },
    make("summary", {}, make("span", { class: `method ${method}` }, method.toUpperCase()), " ",
      make("code", {}, path), " ", make("span", { class: "about" }, operation.summary)),
    operation.deprecated ? make("p", { class: "hint" }, "For older clients.") : "",
    ...prose(operation.description),
    operation.security ? make("p", { class: "hint" }, "Needs a session.") : "",
    ...(parameters.length ? [title("Parameters"), make("ul", { class: "schema" }, ...parameters)] : []),
    ...(body ? [title("Body"), make("p", { class: "hint" }, media), ...outline(content.schema)] : []),
    title("Answers"), ...answersOf(operation), title("Try it"), ...trial(path, method, operation));
}

function show() {
  at("version").textContent = api.info.version;
  at("about").append(make("details", {}, make("summary", {}, "How requests and answers look in general"), ...prose(api.info.description)));
  const session = api.paths["/auth"].post.responses[200].content["application/json"].examples.session.value.refresh_token;
  sample = { token: session.token, identity: session.token_data.identity };
  const all = Object.entries(api.paths).flatMap(([path, item]) =>
    METHODS.filter((method) => item[method]).map((method) => [path, method, item[method]]));
  for (const { name, description } of api.tags) {
    const own = all.filter(([, , operation]) => operation.tags[0] === name);
    own.sort(([, , one], [, , other]) => Boolean(one.deprecated) - Boolean(other.deprecated));
    const links = own.map(([path, method, operation]) => make("li", {}, make("a", { href: `#${operation.operationId}` },
      `${method.toUpperCase()} ${path}`)));
    at("contents").append(make("section", {}, make("h2", {}, name), make("ul", {}, ...links)));
    at("groups").append(make("section", {}, make("h2", {}, name), make("p", { class: "hint" }, description),
      ...own.map((one) => article(...one))));
  }
  at("session").hidden = false;
  at("wait").remove();
}

/** Opens the operation that the address names. */
function open() {
  const operation = document.getElementById(location.hash.slice(1));
  if (operation?.tagName !== "DETAILS") return;
  operation.open = true;
  operation.scrollIntoView();
  operation.querySelector("summary").focus({ preventScroll: true });
}

async function start() {
  try {
    const answer = await fetch("/openapi.json");
    if (!answer.ok) throw new Error(`status ${answer.status}`);
    api = await answer.json();
    show();
    open();
  } catch (error) {
    at("failure").textContent = `The API cannot be shown: ${error.message}`;
    at("failure").hidden = false;
  }
}

at("forget").addEventListener("click", () => hold(""));
// One that is typed in, such as the administrator's.
tokenField.addEventListener("change", () => hold(tokenField.value.trim()));
window.addEventListener("hashchange", open);
start();
