/** The pages that stand where there is no delivery to show. */

export interface Notice {
  readonly status: number;
  readonly title: string;
  readonly text: string;
  readonly mark: 'waiting' | 'closed' | 'missing';
  /** The page loads itself again after this time; null when that would change nothing. */
  readonly refreshSeconds: number | null;
}

export const notices = {
  unknown: {
    status: 404,
    title: 'Link não encontrado',
    text: 'Confira se o endereço está completo ou abra de novo o link que o bot enviou no Telegram.',
    mark: 'missing',
    refreshSeconds: null,
  },
  revoked: {
    status: 410,
    title: 'Este acesso foi encerrado',
    text: 'O pagamento deste pedido foi devolvido. Se quiser comprar de novo, fale com o bot no Telegram.',
    mark: 'closed',
    refreshSeconds: null,
  },
  unconfirmed: {
    status: 202,
    title: 'Pagamento ainda não confirmado',
    text: 'Estamos verificando com o banco. Esta página se atualiza sozinha; não é preciso pagar outra vez.',
    mark: 'waiting',
    refreshSeconds: 15,
  },
  unavailable: {
    status: 503,
    title: 'Só um instante',
    text: 'Seu pedido está guardado. Não conseguimos abri-lo agora e vamos tentar de novo sozinhos.',
    mark: 'waiting',
    refreshSeconds: 5,
  },
  withoutToken: {
    status: 404,
    title: 'Abra o seu link de entrega',
    text: 'Ele está na conversa com o bot, no Telegram.',
    mark: 'missing',
    refreshSeconds: null,
  },
} as const satisfies Record<string, Notice>;
