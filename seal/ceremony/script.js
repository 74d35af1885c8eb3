// What the page does better with a script: it names what is wrong with a share while it
// is typed and sends none that is not right, reads its QR code, asks how things are, and
// keeps nothing. Everything works without it.
'use strict';

const alphabet = 'qpzry9x8gf2tvdw0s3jn54khce6mua7l';

// The bech32m checksum of the data characters of a share, as seal/SHARES.md has it.
function checksumFits(text) {
  const values = [3, 3, 0, 19, 23]; // of the prefix "sw"
  for (const c of text.slice(3)) values.push(alphabet.indexOf(c));
  let sum = 1;
  for (const v of values) {
    const top = sum >>> 25;
    sum = ((sum & 0x1ffffff) << 5) ^ v;
    [0x3b6a57b2, 0x26508e6d, 0x1ea119fa, 0x3d4233dd, 0x2a1462b3].forEach((g, i) => { if ((top >>> i) & 1) sum ^= g; });
  }
  return (sum >>> 0) === 0x2bc830a3;
}

// Whether a text is a share of Vault's: 33 bytes as hexadecimal or base64.
function isRaw(text) {
  if (/^[0-9a-fA-F]{66}$/.test(text)) return text.slice(64) !== '00';
  const part = [alphabet + '1', (alphabet + '1').toUpperCase()].some((a) => [...text].every((c) => a.includes(c)));
  const zero = /[AEIMQUYcgkosw048]A$/.test(text); // its last byte, the number of the share
  return text.length === 44 && !part && !zero && /^[A-Za-z0-9+/]{44}$/.test(text);
}

// What is wrong with a text, as faultOf of the server names it; null if nothing is.
function faultOf(typed) {
  const text = [...typed.replace(/[\t-\r \u0085\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]/g, '')];
  const n = text.length;
  const joined = text.join('');
  if (n === 0) return { key: 'empty' };
  if (new TextEncoder().encode(typed).length > 1024) return { key: 'huge' };
  if (isRaw(joined)) return null;
  const wrong = [];
  let wide = false;
  text.forEach((c, i) => {
    const code = c.codePointAt(0);
    wide = wide || code > 0x7e;
    if ((i >= 3 && !alphabet.includes(c.toLowerCase())) || code > 0x7e) wrong.push(i + 1);
  });
  const positions = wrong.slice(0, 5).join(', ') + (wrong.length > 5 ? ', …' : '');
  if (wide) return { key: 'wide', value: positions };
  if (joined.slice(0, 3).toLowerCase() !== 'sw1'.slice(0, n)) return { key: 'prefix' };
  if (wrong.length > 0) return { key: 'characters', value: positions };
  if (/[a-z]/.test(joined) && /[A-Z]/.test(joined)) return { key: 'case' };
  if (n < 89) return { key: 'short', value: n };
  if (n > 89) return { key: 'long', value: n };
  return checksumFits(joined.toLowerCase()) ? null : { key: 'checksum' };
}

// Shows what is wrong with the field's share; returns whether nothing is.
function judge(field, sending) {
  const area = field.querySelector('textarea');
  const said = field.querySelector('.fault');
  const fault = faultOf(area.value);
  const unfinished = fault && (fault.key === 'short' || fault.key === 'empty') && !sending;
  let words = '';
  if (fault === null) words = field.dataset.good;
  else if (fault.key !== 'empty' || sending) words = field.dataset[fault.key].replace('%s', fault.value);
  if (said.textContent !== words) said.textContent = words;
  said.className = 'fault ' + (fault === null ? 'good' : unfinished ? '' : 'bad');
  if (fault === null || unfinished) area.removeAttribute('aria-invalid');
  else area.setAttribute('aria-invalid', 'true');
  return fault === null;
}

// Sends a form, and shows the answer in place of the page's main part.
async function send(form, submitter) {
  const body = new URLSearchParams(new FormData(form, submitter));
  const action = submitter && submitter.hasAttribute('formaction') ? submitter.formAction : form.action;
  for (const f of form.querySelectorAll('textarea, input[type=password]')) f.value = '';
  form.querySelectorAll('button').forEach((b) => { b.disabled = true; });
  try {
    const answer = await fetch(action, { method: 'POST', body, cache: 'no-store', credentials: 'same-origin', referrerPolicy: 'no-referrer' });
    show(new DOMParser().parseFromString(await answer.text(), 'text/html'));
  } catch {
    form.querySelectorAll('button').forEach((b) => { b.disabled = false; });
    tell(document.body.dataset.failed);
  }
}

// By itself, the page takes nobody's place in the text away.
function show(next, quietly) {
  const main = next.querySelector('main');
  if (!main) throw new Error('not a page of this server');
  stopCamera();
  document.title = next.title;
  main.querySelectorAll('[autofocus]').forEach((e) => e.removeAttribute('autofocus')); // it is for who has no script
  document.querySelector('main').replaceWith(document.adoptNode(main));
  prepare(main);
  if (quietly) return;
  const target = main.querySelector('#answer') || main;
  target.focus();
  window.scrollTo(0, 0);
}

// Says something where the answer of the server would stand.
function tell(words) {
  const box = document.createElement('div');
  box.id = 'answer';
  box.className = 'answer bad';
  box.setAttribute('role', 'alert');
  box.tabIndex = -1;
  const p = document.createElement('p');
  p.textContent = words;
  box.append(p);
  document.getElementById('said').replaceChildren(box);
  box.focus();
}

// Asks how things are, and shows what has changed, unless somebody is about to press a
// button of it.
async function look() {
  const now = document.querySelector('[data-live]');
  if (!now || document.hidden || camera) return;
  const form = now.querySelector('form[data-refresh]');
  const options = { cache: 'no-store', credentials: 'same-origin', referrerPolicy: 'no-referrer' };
  let address = location.href;
  if (form) {
    options.method = 'POST';
    options.body = new URLSearchParams(new FormData(form));
    address = form.action;
  }
  const answer = await fetch(address, options);
  const page = new DOMParser().parseFromString(await answer.text(), 'text/html');
  if (answer.status === 404) show(page, true); // it is over, as that page says
  if (!answer.ok) return;
  const next = page.querySelector('[data-live]');
  const still = document.querySelector('[data-live]');
  if (!next || still !== now || still.contains(document.activeElement)) return;
  // The share that is shown stays as it is: of the buttons the one that shows it is gone.
  if (document.querySelector('[data-secret]')) next.querySelectorAll('button[value=show]').forEach((b) => b.remove());
  if (next.innerHTML.trim() === now.innerHTML.trim()) return;
  if (form && next.dataset.stage !== now.dataset.stage && !document.querySelector('[data-secret]')) { // there is more to do than this part shows
    show(page, true);
    return;
  }
  now.replaceChildren(...document.adoptNode(next).childNodes);
  prepare(now);
}

let camera = null;

function stopCamera() {
  if (camera) camera.getTracks().forEach((t) => t.stop());
  camera = null;
}

// Reads QR codes until one is a share, or the camera is stopped.
async function scan(box, field) {
  const button = box.querySelector('button');
  const said = box.querySelector('[role=status]');
  const video = box.querySelector('video');
  const label = button.dataset.scan || button.textContent;
  button.dataset.scan = label;
  const end = (words) => {
    stopCamera();
    video.hidden = true;
    video.srcObject = null;
    button.textContent = label;
    said.textContent = words;
  };
  if (camera) { end(''); return; }
  try {
    camera = await navigator.mediaDevices.getUserMedia({ video: { facingMode: 'environment' } });
  } catch {
    end(said.dataset.denied);
    return;
  }
  const mine = camera;
  video.srcObject = camera;
  video.hidden = false;
  button.textContent = button.dataset.stop;
  said.textContent = said.dataset.looking;
  await video.play();
  const detector = new BarcodeDetector({ formats: ['qr_code'] });
  while (camera === mine) {
    const codes = await detector.detect(video).catch(() => []);
    const found = codes.find((c) => faultOf(c.rawValue) === null);
    if (camera === mine && found) {
      field.querySelector('textarea').value = found.rawValue;
      end(said.dataset.found);
      judge(field, false);
      field.querySelector('textarea').focus();
      return;
    }
    await new Promise((wait) => { setTimeout(wait, 200); });
  }
}

// Brings a part of the page to life.
function prepare(part) {
  for (const link of part.querySelectorAll('a[data-absolute]')) if (link.textContent.startsWith('/')) link.textContent = link.href;
  for (const field of part.querySelectorAll('[data-share]')) {
    const area = field.querySelector('textarea');
    area.addEventListener('input', () => judge(field, false));
    const box = field.querySelector('[data-camera]');
    canScan().then((can) => { box.hidden = !can; });
    box.querySelector('button').addEventListener('click', () => scan(box, field));
  }
  for (const form of part.querySelectorAll('form[data-now]')) {
    if (form.querySelector('[data-share]')) form.noValidate = true; // our words say more
    form.addEventListener('submit', (event) => {
      event.preventDefault();
      const field = form.querySelector('[data-share]');
      if (field && !judge(field, true)) {
        field.querySelector('textarea').focus();
        return;
      }
      send(form, event.submitter);
    });
  }
}

async function canScan() {
  if (!('BarcodeDetector' in window) || !navigator.mediaDevices) return false;
  const formats = await BarcodeDetector.getSupportedFormats().catch(() => []);
  return formats.includes('qr_code');
}

// Nothing that was typed or shown is there when somebody goes back to the page.
function forget() {
  stopCamera();
  document.querySelectorAll('[data-secret]').forEach((s) => s.remove());
  for (const f of document.querySelectorAll('textarea, input[type=password], input[name=code]:not([type=hidden])')) f.value = '';
}

window.addEventListener('pagehide', forget);
window.addEventListener('pageshow', (event) => { if (event.persisted) location.reload(); });

prepare(document);
setInterval(() => { look().catch(() => {}); }, 4000);
