/*
 * Opens the bot by itself, fires the Pixel's PageView, and tells us Meta's cookies on the way out.
 * Nothing here waits for the Pixel longer than a moment, and for other scripts not at all: the
 * visitor comes first.
 */
(() => {
  'use strict';
  const data = JSON.parse(document.getElementById('page-data').textContent);
  const { token, slug, links, pixel, pixelScriptUrl, beaconUrl, paramBuilder, utmify } = data;
  const leaveAtMostMs = 200;
  const afterPixelMs = 100;
  const webAfterAppMs = 1200;
  let hasLeft = false;
  let lastBeacon = '';

  function readCookie(name) {
    const pair = document.cookie.split('; ').find((text) => text.startsWith(`${name}=`));
    return (pair && pair.slice(name.length + 1)) || undefined;
  }

  // The Pixel writes its cookies when it pleases: told again whenever they have changed.
  function beacon() {
    const [_fbp, _fbc, _fbi] = ['_fbp', '_fbc', '_fbi'].map(readCookie);
    const fields = { tracking_token: token, _fbp, _fbc, _fbi, page_type: 'bridge', slug };
    const body = JSON.stringify(fields);
    if (!(_fbp || _fbc || _fbi) || body === lastBeacon) return;
    lastBeacon = body;
    const blob = new Blob([body], { type: 'application/json' });
    try {
      if (navigator.sendBeacon(beaconUrl, blob)) return;
    } catch {
      // some in-app browsers have none
    }
    fetch(beaconUrl, { method: 'POST', body: blob, keepalive: true }).catch(() => {});
  }

  function load(url, onLoad, onError) {
    const script = document.createElement('script');
    script.async = true;
    script.src = url;
    if (onLoad) script.addEventListener('load', onLoad);
    if (onError) script.addEventListener('error', onError);
    document.head.append(script);
  }

  function leave() {
    if (hasLeft) return;
    hasLeft = true;
    beacon();
    depart();
    // For as long as the page is still there.
    if (paramBuilder && isPlain()) load(paramBuilder.url, refreshCookies);
    if (utmify) {
      window.pixelId = utmify.pixelId;
      load(utmify.url);
    }
  }

  function depart() {
    if (!links.app) {
      location.href = links.web;
      return;
    }
    // Whoever has the app is away by then; the others go by the web.
    const timer = setTimeout(() => {
      location.href = links.web;
    }, webAfterAppMs);
    const stay = () => clearTimeout(timer);
    addEventListener('pagehide', stay);
    addEventListener('blur', stay);
    document.addEventListener('visibilitychange', () => {
      if (document.hidden) stay();
    });
    location.href = links.app;
  }

  // The builder decodes click ids, and mints anew what it cannot read: it gets plain ones only.
  function isPlain() {
    const isId = (url) => !/[?#&]fbclid=[\w-]*[^\w&#-]/.test(url);
    const isCookie = (value) =>
      !value || /^fb\.\d+\.\d+\.[\w-]+(\.([\w-]{2}|[\w-]{8}))?$/.test(value);
    return (
      [location.href, document.referrer].every(isId) &&
      ['_fbp', '_fbc'].map(readCookie).every(isCookie)
    );
  }

  function refreshCookies() {
    const { ipv6 } = paramBuilder;
    window.clientParamBuilder
      ?.processAndCollectAllParams(location.href, ipv6 ? () => ipv6 : undefined)
      .then(beacon, () => {});
  }

  // Meta's base code, without its automatic events: each of those would lack an event id.
  function firePixel(onSettled) {
    if (!window.fbq) {
      const fbq = function (...call) {
        if (fbq.callMethod) fbq.callMethod(...call);
        else fbq.queue.push(call);
      };
      Object.assign(fbq, { push: fbq, loaded: true, version: '2.0', queue: [] });
      window.fbq = fbq;
      window._fbq = window._fbq || fbq;
      load(pixelScriptUrl, onSettled, onSettled);
    }
    const { id, eventId, externalIds } = pixel;
    fbq.disablePushState = true;
    fbq('set', 'autoConfig', false, id);
    fbq('init', id, { external_id: externalIds });
    fbq('trackSingle', id, 'PageView', {}, { eventID: eventId });
  }

  function start() {
    addEventListener('pagehide', beacon);
    document.addEventListener('visibilitychange', beacon);
    document.getElementById('open').addEventListener('click', beacon);
    if (!pixel) {
      leave();
      return;
    }
    setTimeout(leave, leaveAtMostMs);
    try {
      firePixel(() => setTimeout(() => (hasLeft ? beacon() : leave()), afterPixelMs));
    } catch {
      leave();
    }
  }

  // A page that was rendered ahead of its visitor has none yet.
  if (document.prerendering) document.addEventListener('prerenderingchange', start, { once: true });
  else start();
})();
