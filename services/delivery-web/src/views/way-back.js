/* A delivery page that was reloaded while its address stood without the token. */
(() => {
  'use strict';
  try {
    const address = sessionStorage.getItem('rastro_delivery');
    if (address && /^\/delivery\/[\w-]+$/.test(address)) location.replace(address);
  } catch {
    // no storage: the page says what to do
  }
})();
