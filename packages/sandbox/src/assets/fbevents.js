/*
 * A stand-in for Meta's fbevents.js: the same calls, cookies and reports, sent to this sandbox.
 * Served as a classic script, as the real one is; it takes over the queue of the standard snippet.
 */
(() => {
  'use strict';
  const script = document.currentScript;
  const endpoint = new URL('tr', script ? script.src : location.href).href;
  const cookieDays = 90;
  const standardEvents = new Set([
    'AddPaymentInfo',
    'AddToCart',
    'AddToWishlist',
    'CompleteRegistration',
    'Contact',
    'CustomizeProduct',
    'Donate',
    'FindLocation',
    'InitiateCheckout',
    'Lead',
    'PageView',
    'Purchase',
    'Schedule',
    'Search',
    'StartTrial',
    'SubmitApplication',
    'Subscribe',
    'ViewContent',
  ]);
  const hashedKeys = new Set([
    'em',
    'ph',
    'fn',
    'ln',
    'db',
    'ge',
    'ct',
    'st',
    'zp',
    'country',
    'external_id',
  ]);

  const pixels = new Map();
  let hasConsent = true;
  let heldBack = [];

  function warn(text) {
    console.warn(`[Meta Pixel sandbox] ${text}`);
  }

  function readCookie(name) {
    const found = document.cookie.split('; ').find((pair) => pair.startsWith(`${name}=`));
    if (found === undefined) return null;
    const value = found.slice(name.length + 1);
    try {
      return decodeURIComponent(value);
    } catch {
      return value;
    }
  }

  /** Writes at the widest domain the browser allows; answers the subdomain index it took. */
  function writeCookie(name, valueAt) {
    const host = location.hostname;
    const labels = /^[\d.]+$|:/.test(host) ? [host] : host.split('.');
    const maxAge = cookieDays * 86400;
    for (let index = 0; index < labels.length; index += 1) {
      const domain = labels.slice(labels.length - 1 - index).join('.');
      const value = valueAt(index);
      const scope = domain === host ? '' : `; Domain=.${domain}`;
      document.cookie = `${name}=${value}; Path=/; Max-Age=${maxAge}; SameSite=Lax${scope}`;
      if (readCookie(name) === value) return value;
    }
    return valueAt(1);
  }

  function browserId() {
    const kept = readCookie('_fbp');
    if (kept) return kept;
    const random = Math.floor(Math.random() * 1e18).toString();
    const now = Date.now();
    return writeCookie('_fbp', (index) => `fb.${index}.${now}.${random}`);
  }

  function clickId() {
    const kept = readCookie('_fbc');
    const fbclid = new URLSearchParams(location.search).get('fbclid');
    if (!fbclid) return kept;
    // The same click keeps its cookie and so its time.
    if (kept && kept.split('.')[3] === fbclid.split('.')[0]) return kept;
    const now = Date.now();
    return writeCookie('_fbc', (index) => `fb.${index}.${now}.${fbclid}`);
  }

  async function sha256(text) {
    const bytes = new TextEncoder().encode(text);
    const digest = await crypto.subtle.digest('SHA-256', bytes);
    return Array.from(new Uint8Array(digest), (byte) => byte.toString(16).padStart(2, '0')).join(
      '',
    );
  }

  async function hashOnce(value) {
    const text = String(value).trim();
    if (/^[0-9a-f]{64}$/.test(text) || !globalThis.crypto || !crypto.subtle) return text;
    return sha256(text.toLowerCase());
  }

  /** Advanced matching: hashed in the browser unless it came hashed; external_id may be a list. */
  async function hashUserData(userData) {
    const entries = await Promise.all(
      Object.entries(userData || {}).map(async ([key, value]) => {
        if (!hashedKeys.has(key)) return [key, [String(value)]];
        const values = Array.isArray(value) ? value : [value];
        return [key, await Promise.all(values.map(hashOnce))];
      }),
    );
    return Object.fromEntries(entries);
  }

  function fieldsOf(pixelId, eventName, data, options, userData) {
    const fields = new URLSearchParams();
    fields.set('id', pixelId);
    fields.set('ev', eventName);
    fields.set('dl', location.href);
    fields.set('rl', document.referrer);
    fields.set('if', String(window.top !== window));
    fields.set('ts', String(Date.now()));
    for (const [key, value] of Object.entries(data || {})) {
      const isPlain = typeof value !== 'object' || value === null;
      fields.set(`cd[${key}]`, isPlain ? String(value) : JSON.stringify(value));
    }
    for (const [key, values] of Object.entries(userData)) {
      for (const value of values) fields.append(`ud[${key}]`, value);
    }
    fields.set('v', '2.9.999-sandbox');
    fields.set('fbp', browserId());
    const fbc = clickId();
    if (fbc) fields.set('fbc', fbc);
    if (options && options.eventID !== undefined) fields.set('eid', String(options.eventID));
    return fields;
  }

  /** keepalive outlives the page; where the page's policy forbids it, an image does, as of old. */
  function report(fields) {
    const body = fields.toString();
    const asImage = () => {
      new Image().src = `${endpoint}?${body}`;
    };
    try {
      fetch(endpoint, { method: 'POST', body: fields, keepalive: true, mode: 'no-cors' }).catch(
        asImage,
      );
    } catch {
      asImage();
    }
  }

  function send(pixelId, eventName, data, options) {
    const pixel = pixels.get(pixelId);
    if (!pixel) return;
    if (!hasConsent) {
      heldBack.push([pixelId, eventName, data, options]);
      return;
    }
    const now = fieldsOf(pixelId, eventName, data, options, {});
    void pixel.userData.then((userData) => {
      for (const [key, values] of Object.entries(userData)) {
        for (const value of values) now.append(`ud[${key}]`, value);
      }
      report(now);
    });
  }

  function checkCall(eventName, data, isCustom) {
    if (typeof eventName !== 'string' || eventName === '') {
      warn('track needs the name of an event.');
      return false;
    }
    if (!isCustom && !standardEvents.has(eventName)) {
      warn(`'${eventName}' is not a standard event; use trackCustom.`);
    }
    const money = data || {};
    if (eventName === 'Purchase' && !(money.value !== undefined && money.currency)) {
      warn("'Purchase' is missing value or currency.");
    }
    return true;
  }

  const commands = {
    init(pixelId, userData) {
      const id = String(pixelId);
      if (pixels.has(id)) {
        warn(`Duplicate Pixel ID: ${id}.`);
        if (!userData) return;
      }
      if (typeof (userData || {}).external_id === 'number') warn('external_id must be a string.');
      pixels.set(id, { userData: hashUserData(userData) });
      if (hasConsent) {
        browserId();
        clickId();
      }
    },
    track(eventName, data, options) {
      if (!checkCall(eventName, data, false)) return;
      for (const id of pixels.keys()) send(id, eventName, data, options);
    },
    trackCustom(eventName, data, options) {
      if (!checkCall(eventName, data, true)) return;
      for (const id of pixels.keys()) send(id, eventName, data, options);
    },
    trackSingle(pixelId, eventName, data, options) {
      if (checkCall(eventName, data, false)) send(String(pixelId), eventName, data, options);
    },
    trackSingleCustom(pixelId, eventName, data, options) {
      if (checkCall(eventName, data, true)) send(String(pixelId), eventName, data, options);
    },
    consent(decision) {
      hasConsent = decision !== 'revoke';
      if (!hasConsent) return;
      const held = heldBack;
      heldBack = [];
      for (const call of held) send(...call);
    },
    set(what, ...values) {
      if (what !== 'userData') return;
      const added = hashUserData(values[0]);
      for (const pixel of pixels.values()) {
        const before = pixel.userData;
        pixel.userData = Promise.all([before, added]).then(([a, b]) => ({ ...a, ...b }));
      }
    },
    dataProcessingOptions() {},
  };

  function call(...received) {
    const [command, ...values] = received;
    if (Object.hasOwn(commands, command)) commands[command](...values);
    else warn(`fbq('${command}') is unknown here.`);
  }

  /** The real script counts a PageView for each pushState unless the page forbids it. */
  function watchHistory(fbq) {
    let lastUrl = location.href;
    const onChange = () => {
      if (fbq.disablePushState === true || location.href === lastUrl) return;
      lastUrl = location.href;
      for (const id of pixels.keys()) send(id, 'PageView', {}, undefined);
    };
    for (const name of ['pushState', 'replaceState']) {
      const original = history[name];
      history[name] = function changed(...values) {
        const result = original.apply(this, values);
        if (name === 'pushState' || fbq.allowDuplicatePageViews !== true) onChange();
        return result;
      };
    }
    addEventListener('popstate', onChange);
  }

  const fbq = window.fbq;
  if (!fbq || fbq.callMethod) {
    if (!fbq) warn('no fbq on this page: the base code must come first.');
    return;
  }
  fbq.callMethod = (...received) => call(...received);
  fbq.getState = () => ({ pixels: [...pixels.keys()].map((id) => ({ id })), hasConsent });
  watchHistory(fbq);
  const queue = fbq.queue || [];
  while (queue.length > 0) call(...queue.shift());
})();
