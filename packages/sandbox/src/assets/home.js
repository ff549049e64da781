import { byId, getJson, poll, watchFaults } from './dom.js';

/** Each click on an ad is another click: the link is made anew once it was used. */
async function renewAds() {
  const ads = await getJson('/control/ads');
  for (const ad of ads) {
    const card = document.querySelector(`.ad[data-slug="${CSS.escape(ad.slug)}"]`);
    if (card === null) continue;
    card.querySelector('.ad-link').href = ad.url;
    card.querySelector('.ad-url').textContent = ad.url;
  }
}

for (const link of document.querySelectorAll('.ad-link')) {
  link.addEventListener('click', () => setTimeout(() => void renewAds(), 500));
}

function count(number, one, many) {
  return `${number} ${number === 1 ? one : many}`;
}

if (byId('charge-note') !== null) {
  poll(async () => {
    const [charges, events, bots] = await Promise.all([
      getJson('/control/pix/charges?limit=500'),
      getJson('/control/graph/events?limit=500'),
      getJson('/control/telegram/bots'),
    ]);
    const paid = charges.filter((charge) => charge.paid_at !== null).length;
    byId('charge-note').textContent =
      charges.length === 0
        ? 'Nenhuma cobrança ainda'
        : `${count(charges.length, 'cobrança', 'cobranças')}, ${count(paid, 'paga', 'pagas')}`;
    const pairs = events.filter((group) => group.verdict === 'paired').length;
    byId('event-note').textContent =
      events.length === 0
        ? 'Nenhum evento ainda'
        : `${count(events.length, 'evento', 'eventos')}, ${count(pairs, 'par', 'pares')}`;
    for (const bot of bots) {
      const note = document.querySelector(`.tile-note[data-bot="${CSS.escape(bot.username)}"]`);
      if (note === null) continue;
      note.textContent = bot.webhookUrl === null ? 'sem webhook' : '';
      if (bot.lastErrorMessage !== null && bot.pendingUpdates > 0) note.textContent = 'com erro';
      note.classList.toggle('bad', note.textContent === 'com erro');
    }
  }, 2500);
}
watchFaults();
