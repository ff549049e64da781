-- What delivery-web knows of orders and of the people who placed them. Every row is merged so that
-- events may arrive in any order and more than once (src/adapters/projection.ts).

create table orders (
  payment_id uuid primary key,
  workspace_id text not null,
  bot_id text not null,
  pool_id text,
  tracking_token text,
  lead_id uuid,
  product_id text not null,
  product_name text not null,
  amount_cents bigint not null,
  currency text not null,
  paid_at timestamptz,
  refunded_at timestamptz, -- in whole; a partial refund takes nothing away
  charged_back_at timestamptz,
  disputed_at timestamptz, -- when a dispute was opened or closed last
  is_dispute_open boolean
);

create table clicks (
  workspace_id text not null,
  tracking_token text not null,
  pool_id text not null,
  external_ids text[] not null,
  fbp text,
  fbc text,
  consent text not null,
  clicked_at timestamptz not null,
  primary key (workspace_id, tracking_token)
);

-- Meta's first-party cookies as the person's browser told them last.
create table browser_cookies (
  workspace_id text not null,
  tracking_token text not null,
  fbp text,
  fbp_at timestamptz,
  fbc text,
  fbc_at timestamptz,
  primary key (workspace_id, tracking_token)
);

create table leads (
  workspace_id text not null,
  lead_id uuid not null,
  external_id text not null,
  primary key (workspace_id, lead_id)
);

-- When the server may have told Meta of a purchase for the first time.
create table purchase_sends (
  payment_id uuid primary key,
  first_sent_at timestamptz not null
);

-- One per paid order. The token itself is not here: who reads this table opens no delivery.
create table deliveries (
  delivery_id uuid primary key,
  payment_id uuid not null unique references orders,
  token_hash text not null unique,
  access_url text,
  issued_at timestamptz not null,
  first_pixel_at timestamptz -- when the page went out with the Pixel for the first time
);
