// Tries the calls of the reference against the development server that serves this page, with its key.
const key = fetch("/docs/try.json").then((r) => (r.ok ? r.json() : { key: "" })).then((a) => a.key);

async function send(form) {
  const note = form.querySelector("[role=status]"), pre = form.querySelector("pre"), button = form.querySelector("button");
  let path = form.dataset.path;
  const query = new URLSearchParams();
  for (const field of form.querySelectorAll("input")) {
    if (field.dataset.in === "path") path = path.replace(`{${field.name}}`, encodeURIComponent(field.value.trim()));
    else if (field.value) query.set(field.name, field.value);
  }
  const headers = {}, body = form.querySelector("textarea")?.value;
  if (!("free" in form.dataset)) headers.Authorization = `Bearer ${await key}`;
  if (body !== undefined) headers["Content-Type"] = "application/json";
  button.disabled = true;
  note.textContent = "…";
  try {
    const answer = await fetch(query.size > 0 ? `${path}?${query}` : path, { method: form.dataset.method, headers, body });
    const text = await answer.text();
    note.textContent = `${answer.status} ${answer.statusText}`;
    pre.hidden = text === "";
    let json;
    try { json = JSON.parse(text); } catch { /* it is no JSON: shown as it is */ }
    pre.firstChild.textContent = json === undefined ? text : JSON.stringify(json, null, 2);
    // The next calls are about the verification that was just started.
    if (answer.status === 201 && typeof json?.id === "string") {
      for (const field of document.querySelectorAll('.try input[name="id"]')) field.value = json.id;
    }
  } catch (error) {
    note.textContent = `The server did not answer: ${error.message}`;
  } finally {
    button.disabled = false;
  }
}

for (const form of document.querySelectorAll(".try form")) {
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    send(form);
  });
}
