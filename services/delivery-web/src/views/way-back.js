/* A delivery page that was reloaded while its address stood without the token. */
(() => {
  'use strict';
  function addressInTab() {
    try {
      return sessionStorage.getItem('rastro_delivery');
    } catch {
      return null; // no storage: then without the history's entry the page says what to do
    }
  }
  const address = history.state?.rastroDelivery ?? addressInTab();
  if (/^\/delivery\/[\w-]+\/?$/.test(address)) location.replace(address);
})();
