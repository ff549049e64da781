/** A Telegram bot of its own that sells with Rastro: plain NATS, plain Bot API, one process. */
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { jetstream } from '@nats-io/jetstream';
import { connect, nkeyAuthenticator } from '@nats-io/transport-node';

const { NATS_URL, NATS_SEED_FILE, RASTRO_WORKSPACE, BOT_ID, BOT_TOKEN, PRODUCT_ID } = process.env;
const { PUBLIC_ORIGIN = 'http://localhost:8080', STATE_FILE = 'state.json' } = process.env;
const { TELEGRAM_API_URL = 'https://api.telegram.org', FIRST_STEP = 'welcome' } = process.env;
const workspaceId = RASTRO_WORKSPACE;
const common = { workspaceId, botId: BOT_ID };

// What has to outlive a restart: who came by which click, and which events are done with.
const state = existsSync(STATE_FILE)
  ? JSON.parse(readFileSync(STATE_FILE, 'utf8'))
  : { leads: {}, handled: [] };
function keep() {
  writeFileSync(`${STATE_FILE}.draft`, JSON.stringify(state), { mode: 0o600 });
  renameSync(`${STATE_FILE}.draft`, STATE_FILE);
}

/** Waits out 429, 5xx and a Telegram that is away; a customer who blocked us hears nothing. */
async function telegram(method, body) {
  for (let attempt = 1; ; attempt += 1) {
    const response = await fetch(`${TELEGRAM_API_URL}/bot${BOT_TOKEN}/${method}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body),
      signal: AbortSignal.timeout(40_000),
    }).catch(() => undefined);
    const answer = await response?.json().catch(() => undefined);
    if (answer?.ok) return answer.result;
    const { error_code: code = 500, description, parameters } = answer ?? {};
    if (code === 401) throw new Error('Telegram does not know this token');
    if (code < 500 && code !== 429) return console.error(`${method}: ${code} ${description}`);
    await delay(1_000 * (parameters?.retry_after ?? Math.min(2 ** attempt, 30)));
  }
}

const say = (chat, text, ...buttons) =>
  telegram('sendMessage', {
    chat_id: chat,
    text,
    parse_mode: 'HTML',
    reply_markup: { inline_keyboard: buttons.map((button) => [button]) },
  });
const reais = (cents) => `R$ ${(cents / 100).toFixed(2).replace('.', ',')}`;
const escaped = (text) => text.replace(/[&<>]/g, (sign) => `&#${sign.charCodeAt(0)};`);

const nats = await connect({
  servers: NATS_URL.split(','),
  name: BOT_ID,
  authenticator: nkeyAuthenticator(() => readFileSync(NATS_SEED_FILE)),
  maxReconnectAttempts: -1,
});
// Only where the credentials were revoked: an outage is waited for.
void nats.closed().then(() => process.exit(1));

/** Repeats what did not get through: the same question has the same answer. */
async function ask(subject, body) {
  for (let attempt = 1; ; attempt += 1) {
    const message = await nats
      .request(subject, JSON.stringify({ ...common, ...body }), { timeout: 10_000 })
      .catch(() => undefined);
    const reply = message?.json() ?? { ok: false, error: { code: 'unavailable' } };
    if (reply.ok || reply.error.code !== 'unavailable' || attempt === 5) return reply;
    await delay(1_000 * attempt);
  }
}

/** One press, one checkout, also when Telegram tells us of it twice. */
function checkoutIdOf(press) {
  const hex = createHash('sha256').update(`${BOT_ID}:${press}`).digest('hex');
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12}).*$/, '$1-$2-$3-$4-$5');
}

async function start(user, trackingToken) {
  const { id: telegramUserId, language_code: languageCode, is_premium: isPremium } = user;
  const about = { telegramUserId, trackingToken, languageCode, isPremium };
  const { ok, value, error } = await ask('funnel.start', about);
  if (!ok) console.error(`funnel.start: ${error.message}`);
  const { leadId = null, trackingToken: bound = null, poolId = null } = value ?? {};
  if (ok) state.leads[telegramUserId] = { leadId, trackingToken: bound, poolId };
  keep();
  await say(telegramUserId, 'Olá! Quer o produto?', { text: 'Comprar', callback_data: 'buy' });
  const step = await ask('funnel.step', { telegramUserId, stepId: FIRST_STEP });
  if (!step.ok) console.error(`funnel.step: ${step.error.message}`);
}

async function buy(telegramUserId, press) {
  const lead = state.leads[telegramUserId] ?? { leadId: null, trackingToken: null, poolId: null };
  const order = { checkoutId: checkoutIdOf(press), productId: PRODUCT_ID, telegramUserId, ...lead };
  const { ok, value } = await ask('payments.create', order);
  if (!ok) return say(telegramUserId, 'O PIX não abriu. Tente de novo em um minuto.');
  const { pixCode, amountCents, paymentId } = value;
  const paid = { text: 'Já paguei', callback_data: `paid:${paymentId}` };
  const text = `Pague ${reais(amountCents)} com este PIX:\n<code>${escaped(pixCode)}</code>`;
  return say(telegramUserId, text, { text: 'Copiar', copy_text: { text: pixCode } }, paid);
}

async function onUpdate({ message, callback_query: press }) {
  const [, token] = /^\/start(?:\s+(\S{1,64}))?/.exec(message?.text ?? '') ?? [null, null];
  if (message?.text?.startsWith('/start')) return start(message.from, token ?? null);
  if (press === undefined) return undefined;
  await telegram('answerCallbackQuery', { callback_query_id: press.id });
  if (press.data === 'buy') return buy(press.from.id, press.id);
  const { ok, value } = await ask('payments.revalidate', { paymentId: press.data.slice(5) });
  if (ok && value.status === 'paid') return undefined;
  return say(press.from.id, 'Ainda não vimos o pagamento. Avisamos assim que ele chegar.');
}

async function onEvent({ type, data }) {
  const { telegramUserId: chat, productName = '', deliveryToken, accessUrl, hasPixel } = data;
  if (data.botId !== BOT_ID || !chat) return;
  const link = hasPixel ? `${PUBLIC_ORIGIN}/delivery/${deliveryToken}` : accessUrl;
  if (type === 'PaymentPaid') await say(chat, 'Pagamento confirmado. Obrigado!');
  if (type === 'PaymentExpired') await say(chat, 'O PIX venceu. Envie /start para outro.');
  if (type === 'PaymentRefunded') await say(chat, 'Seu pagamento foi devolvido.');
  if (type === 'DeliveryIssued') await say(chat, `${escaped(productName)}: ${escaped(link ?? '')}`);
}

/** An event is acknowledged once it is done with; one that comes again is known by its id. */
async function follow() {
  const durable = `external__${workspaceId}`;
  const consumer = await jetstream(nats, { domain: 'rastro' }).consumers.get('COMMERCE', durable);
  const options = { max_messages: 10, abort_on_missing_resource: true };
  for await (const message of await consumer.consume(options)) {
    const event = message.json();
    if (!state.handled.includes(event.id)) {
      await onEvent(event);
      state.handled = [...state.handled.slice(-9_999), event.id];
      keep();
    }
    message.ack();
  }
}

async function followForEver() {
  for (;;) {
    await follow().catch((error) => console.error(`events: ${error.message}`));
    await delay(2_000);
  }
}

async function poll() {
  for (let offset = 0; ;) {
    const updates = (await telegram('getUpdates', { offset, timeout: 25 })) ?? [];
    for (const update of updates) {
      await onUpdate(update);
      offset = update.update_id + 1;
    }
  }
}

process.once('SIGTERM', () => process.exit(0));
console.log(`${BOT_ID} of ${workspaceId} is at work`);
await Promise.all([poll(), followForEver()]);
