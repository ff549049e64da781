/** The AsyncAPI 3 document, made from the schemas, so that words and code cannot drift apart. */
import { catalogEntrySchema, catalogKinds } from './catalog.ts';
import { EnvelopeAttributes } from './envelope.ts';
import { eventDefinitions } from './registry.ts';
import { RequestError, requestDefinitions } from './requests.ts';
import { eventFilter, eventStream } from './subjects.ts';

type Json = Record<string, unknown>;

const ref = (path: string): Json => ({ $ref: `#/${path}` });

function eventParts(): { channels: Json; operations: Json; messages: Json } {
  const channels: Json = {};
  const operations: Json = {};
  const messages: Json = {};
  for (const definition of Object.values(eventDefinitions)) {
    const { type, summary, producers, data, version } = definition;
    const address = eventFilter(type).replace('*', '{workspaceId}');
    const parameters = { workspaceId: ref('components/parameters/workspaceId') };
    channels[type] = {
      address,
      parameters,
      messages: { [type]: ref(`components/messages/${type}`) },
      // JetStream's settings have no place in the NATS binding.
      'x-jetstream': { stream: eventStream(type) },
    };
    operations[`publish${type}`] = {
      action: 'send',
      channel: ref(`channels/${type}`),
      summary,
      tags: producers.map((name) => ({ name })),
    };
    messages[type] = {
      name: type,
      summary,
      contentType: 'application/cloudevents+json',
      'x-schema-version': version,
      payload: {
        allOf: [ref('components/schemas/Envelope'), { type: 'object', properties: { data } }],
      },
    };
  }
  return { channels, operations, messages };
}

function requestParts(): { channels: Json; operations: Json; messages: Json } {
  const channels: Json = {};
  const operations: Json = {};
  const messages: Json = {};
  for (const [name, definition] of Object.entries(requestDefinitions)) {
    const { subject, summary, request, reply } = definition;
    channels[name] = {
      address: subject,
      messages: { request: ref(`components/messages/${name}Request`) },
    };
    channels[`${name}Reply`] = {
      address: null,
      messages: { reply: ref(`components/messages/${name}Reply`) },
    };
    operations[name] = {
      action: 'receive',
      channel: ref(`channels/${name}`),
      summary,
      reply: { channel: ref(`channels/${name}Reply`) },
    };
    messages[`${name}Request`] = { contentType: 'application/json', payload: request };
    messages[`${name}Reply`] = {
      contentType: 'application/json',
      payload: {
        oneOf: [
          {
            type: 'object',
            required: ['ok', 'value'],
            properties: { ok: { const: true }, value: reply },
          },
          {
            type: 'object',
            required: ['ok', 'error'],
            properties: { ok: { const: false }, error: RequestError },
          },
        ],
      },
    };
  }
  return { channels, operations, messages };
}

function catalogParts(): { channels: Json; messages: Json } {
  const channels: Json = {};
  const messages: Json = {};
  for (const kind of catalogKinds) {
    const name = `catalog_${kind}`;
    channels[name] = {
      address: `catalog.{workspaceId}.${kind}.{id}`,
      parameters: {
        workspaceId: ref('components/parameters/workspaceId'),
        id: { description: 'The entry’s id in the catalog file.' },
      },
      messages: { [name]: ref(`components/messages/${name}`) },
      'x-jetstream': { stream: 'CATALOG' },
    };
    messages[name] = {
      contentType: 'application/json',
      summary: `State of one ${kind}; \`data\` is null once it was removed.`,
      payload: catalogEntrySchema(kind),
    };
  }
  return { channels, messages };
}

/** The whole document as a plain value; the command line writes it as YAML. */
export function asyncApiDocument(): Json {
  const events = eventParts();
  const requests = requestParts();
  const catalog = catalogParts();
  const document = {
    asyncapi: '3.0.0',
    info: {
      title: 'Rastro',
      version: '1.0.0',
      description: 'Every event, request and catalog entry that travels over NATS.',
      license: { name: 'MIT' },
    },
    defaultContentType: 'application/json',
    servers: { nats: { host: 'localhost:4222', protocol: 'nats' } },
    channels: { ...events.channels, ...requests.channels, ...catalog.channels },
    operations: { ...events.operations, ...requests.operations },
    components: {
      schemas: { Envelope: EnvelopeAttributes },
      messages: { ...events.messages, ...requests.messages, ...catalog.messages },
      parameters: { workspaceId: { description: 'The workspace that owns what is spoken of.' } },
    },
  };
  return JSON.parse(JSON.stringify(document)) as Json;
}
