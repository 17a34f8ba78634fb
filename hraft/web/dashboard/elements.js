// Elements and texts. Whatever comes from outside goes in as text, never as HTML.

export const byId = (id) => document.getElementById(id);

// Make an element. Of `properties`, those of `data` and `attributes` go where their names say; all others are properties.
export function make(tag, properties = {}, ...children) {
  const { attributes = {}, ...others } = properties;
  const element = Object.assign(document.createElement(tag), others);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

// Write only what changes, so that a screen reader, a selection and the focus are left alone.
export function say(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

// An icon that is decoration, and the words that say the same.
export function sign(icon, words, className = '') {
  return make('span', { className }, make('span', { className: 'icon', textContent: icon, attributes: { 'aria-hidden': 'true' } }), ` ${words}`);
}

export const number = (value) => value.toLocaleString('en');

export function duration(milliseconds) {
  if (milliseconds < 1000) return `${Math.round(milliseconds)} ms`;
  const seconds = milliseconds / 1000;
  if (seconds < 120) return `${seconds < 10 ? seconds.toFixed(1) : Math.round(seconds)} s`;
  return seconds < 7200 ? `${Math.round(seconds / 60)} min` : `${Math.round(seconds / 3600)} h`;
}

export function size(bytes) {
  const units = ['bytes', 'KiB', 'MiB', 'GiB', 'TiB'];
  let unit = 0;
  for (; bytes >= 1024 && unit + 1 < units.length; unit += 1) bytes /= 1024;
  return `${unit && bytes < 10 ? bytes.toFixed(1) : Math.round(bytes)} ${units[unit]}`;
}

export const timeOf = (date) => date.toLocaleTimeString('en-GB');

let lastAnnounced = '';
// For those who do not see the page: what has changed, once.
export function announce(words) {
  if (words !== lastAnnounced) byId('announcer').textContent = lastAnnounced = words;
}

// Where another node's page is. An address has a scheme only where its node speaks HTTPS.
const pageOf = (httpAddress) => (httpAddress.includes('://') ? `${httpAddress}/` : `http://${httpAddress}/`);

// A link to another node's page; null where the address is none that a link could lead to.
export function linkTo(httpAddress) {
  try {
    const url = new URL(pageOf(httpAddress));
    if (!['http:', 'https:'].includes(url.protocol) || url.pathname !== '/') return null;
    return make('a', { href: url.href, textContent: httpAddress, rel: 'noreferrer' });
  } catch {
    return null;
  }
}
