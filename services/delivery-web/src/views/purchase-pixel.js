/*
 * Fires the Pixel's Purchase, once per browser, and tells us Meta's cookies afterwards.
 * Runs on the delivery page only; all it needs stands in the page as data.
 */
(() => {
  'use strict';
  const data = JSON.parse(document.getElementById('page-data').textContent);
  const { pixel, pixelScriptUrl, beaconUrl, addressWithoutToken } = data;
  const markName = `rastro_${pixel.eventId}`;
  const addressWithToken = location.pathname;
  // From the page's start and for this long: the browser's clock may differ from ours.
  const startedMs = Date.now();
  const { fireWithinMs } = pixel;
  const quietMs = 3000;
  const cookiesWithinMs = 2000;

  function readCookie(name) {
    const pair = document.cookie.split('; ').find((text) => text.startsWith(`${name}=`));
    return pair === undefined ? undefined : pair.slice(name.length + 1) || undefined;
  }

  // Storage may be forbidden or forgotten by an in-app browser: two marks are better than one.
  function isMarked() {
    try {
      if (localStorage.getItem(markName)) return true;
    } catch {
      // Forbidden: then the cookie is the mark.
    }
    return readCookie(markName) !== undefined;
  }

  function mark() {
    try {
      localStorage.setItem(markName, '1');
    } catch {
      // Forbidden or full: then the cookie is the mark.
    }
    document.cookie = `${markName}=1; Path=/delivery; Max-Age=7776000; SameSite=Lax`;
  }

  /*
   * The Pixel tells Meta the page's address as it stands when it reports, which may be long after
   * its script was asked for, and whoever has the token has the purchase. So the address stands
   * there without the token until the Pixel is done, whatever its user does meanwhile; a reload,
   * or a way back to it, finds the token in the history's entry or, typed anew, in the tab.
   */
  function hideToken() {
    try {
      sessionStorage.setItem('rastro_delivery', addressWithToken);
    } catch {
      // Forbidden or full: then the history's entry knows it.
    }
    history.replaceState({ rastroDelivery: addressWithToken }, '', addressWithoutToken);
  }

  function showToken() {
    history.replaceState(null, '', addressWithToken);
  }

  /*
   * A report to Meta and then a silence is the end. The browser lists what was answered or failed,
   * but not a fetch whose answer nobody reads, so those are heard when they start. Who never
   * reports, e.g. because a blocker forbids only that, leaves the address as it is.
   */
  function showTokenOnceReported() {
    if (!window.PerformanceObserver) return;
    let isReported = false;
    let timer;
    function hear(address) {
      isReported ||= /\/tr\/?(\?|$)/.test(address);
      clearTimeout(timer);
      if (isReported) timer = setTimeout(showToken, quietMs);
    }
    const observer = new PerformanceObserver((list) => {
      for (const { name } of list.getEntries()) hear(name);
    });
    observer.observe({ entryTypes: ['resource'] });
    const fetch = window.fetch.bind(window);
    window.fetch = (...call) => {
      hear(String(call[0]?.url ?? call[0]));
      return fetch(...call);
    };
  }

  /** Meta's base code, without its automatic events: each of those would lack an event id. */
  function loadPixel(onSettled) {
    const fbq = (...call) => (fbq.callMethod ? fbq.callMethod(...call) : fbq.queue.push(call));
    Object.assign(fbq, {
      push: fbq,
      loaded: true,
      version: '2.0',
      queue: [],
      disablePushState: true,
    });
    window.fbq = fbq;
    window._fbq = fbq;
    const script = document.createElement('script');
    script.async = true;
    script.src = pixelScriptUrl;
    script.addEventListener('load', () => onSettled(true));
    script.addEventListener('error', () => onSettled(false));
    document.head.append(script);
    return fbq;
  }

  function beacon() {
    const [_fbp, _fbc, _fbi] = ['_fbp', '_fbc', '_fbi'].map(readCookie);
    if (!pixel.trackingToken || !(_fbp || _fbc || _fbi)) return;
    const { trackingToken: tracking_token, slug } = pixel;
    const body = { tracking_token, slug, _fbp, _fbc, _fbi, page_type: 'delivery' };
    const blob = new Blob([JSON.stringify(body)], { type: 'application/json' });
    if (navigator.sendBeacon?.(beaconUrl, blob)) return;
    fetch(beaconUrl, { method: 'POST', body: blob, keepalive: true }).catch(() => {});
  }

  /** The Pixel writes its cookies a little after it has loaded, and not all of them always. */
  function beaconOnceCookiesAreThere() {
    const loadedMs = Date.now();
    let isSent = false;
    const send = () => {
      if (isSent) return;
      isSent = true;
      clearInterval(timer);
      beacon();
    };
    const timer = setInterval(() => {
      const isOver = Date.now() - loadedMs > cookiesWithinMs;
      if (isOver || (readCookie('_fbp') && readCookie('_fbc'))) send();
    }, 100);
    addEventListener('pagehide', send);
  }

  /*
   * The address may be open in two tabs at once, and neither is marked before Meta's script is
   * there. The one that tells keeps the lock for as long as it is open, since a mark takes a moment
   * to reach the others; they wait, and then find it. Only who could not tell makes room.
   */
  function fireAlone() {
    if (isMarked()) return;
    const locks = navigator.locks;
    if (!locks) return fire(() => {}); // not over plain http, and not in browsers before 2022
    locks
      .request(markName, () => new Promise((makeRoom) => fire(makeRoom)))
      .catch(() => fire(() => {})); // forbidden, like storage
  }

  function fire(makeRoom) {
    // Who waited for the lock may have waited for days, and Meta would count a copy that late.
    if (isMarked() || Date.now() - startedMs >= fireWithinMs) return makeRoom();
    hideToken();
    showTokenOnceReported();
    const fbq = loadPixel((isLoaded) => {
      if (isLoaded) {
        mark();
      } else {
        makeRoom();
        showToken();
      }
      beaconOnceCookiesAreThere();
    });
    const { pixelId, externalIds, customData, eventId } = pixel;
    fbq('set', 'autoConfig', false, pixelId);
    fbq('init', pixelId, externalIds.length > 0 ? { external_id: externalIds } : {});
    fbq('trackSingle', pixelId, 'Purchase', customData, { eventID: eventId });
  }

  fireAlone();
})();
