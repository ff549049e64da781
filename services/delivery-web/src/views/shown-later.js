/*
 * A page that a browser asked for ahead of its user: once it is shown, it is asked for again, so
 * that the opening is known and its Pixel comes along.
 */
(() => {
  'use strict';
  // Once: a preview that asks again as a preview would never end.
  const isAgain = performance.getEntriesByType('navigation')[0]?.type === 'reload';
  const reload = () => location.reload();
  if (document.prerendering) {
    document.addEventListener('prerenderingchange', reload, { once: true });
  } else if (!isAgain) {
    reload();
  }
})();
