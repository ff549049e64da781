/** What the pages say, in the languages they say it in; the first one is everybody's default. */

export const languages = ['pt', 'en', 'es'] as const;
export type Language = (typeof languages)[number];

export interface Notice {
  readonly title: string;
  readonly text: string;
}

export interface Words {
  /** For `<html lang>`. */
  readonly tag: string;
  readonly bridge: {
    readonly title: string;
    readonly opening: string;
    readonly text: string;
    readonly button: string;
    readonly hint: string;
  };
  readonly notFound: Notice;
  readonly refused: Notice;
  readonly unavailable: Notice;
  readonly limited: Notice;
}

export type NoticeName = 'notFound' | 'refused' | 'unavailable' | 'limited';

export const noticeStatus: Readonly<Record<NoticeName, number>> = {
  notFound: 404,
  refused: 403,
  unavailable: 503,
  limited: 429,
};

export const words: Readonly<Record<Language, Words>> = {
  pt: {
    tag: 'pt-BR',
    bridge: {
      title: 'Abrir no Telegram',
      opening: 'Abrindo o Telegram…',
      text: 'Você vai continuar a conversa com',
      button: 'Continuar no Telegram',
      hint: 'Não abriu sozinho? Toque no botão.',
    },
    notFound: {
      title: 'Link não encontrado',
      text: 'Este endereço não existe ou não vale mais. Volte ao anúncio e toque nele de novo.',
    },
    refused: {
      title: 'Abra pelo anúncio',
      text: 'Este link só funciona completo, como está no anúncio. Volte e toque nele de novo.',
    },
    unavailable: {
      title: 'Só um instante',
      text: 'Nenhum atendente está disponível agora. Tente de novo em alguns minutos.',
    },
    limited: {
      title: 'Muitos acessos',
      text: 'Sua rede abriu links demais na última hora. Espere um pouco e toque no anúncio de novo.',
    },
  },
  en: {
    tag: 'en',
    bridge: {
      title: 'Open in Telegram',
      opening: 'Opening Telegram…',
      text: 'You will continue the conversation with',
      button: 'Continue in Telegram',
      hint: 'Nothing happened? Tap the button.',
    },
    notFound: {
      title: 'Link not found',
      text: 'This address does not exist or is no longer valid. Go back to the ad and tap it again.',
    },
    refused: {
      title: 'Open it from the ad',
      text: 'This link only works complete, as it stands in the ad. Go back and tap it again.',
    },
    unavailable: {
      title: 'Just a moment',
      text: 'Nobody is available right now. Please try again in a few minutes.',
    },
    limited: {
      title: 'Too many requests',
      text: 'Your network opened too many links in the last hour. Wait a while and tap the ad again.',
    },
  },
  es: {
    tag: 'es',
    bridge: {
      title: 'Abrir en Telegram',
      opening: 'Abriendo Telegram…',
      text: 'Vas a continuar la conversación con',
      button: 'Continuar en Telegram',
      hint: '¿No se abrió? Toca el botón.',
    },
    notFound: {
      title: 'Enlace no encontrado',
      text: 'Esta dirección no existe o ya no es válida. Vuelve al anuncio y tócalo de nuevo.',
    },
    refused: {
      title: 'Ábrelo desde el anuncio',
      text: 'Este enlace solo funciona completo, como está en el anuncio. Vuelve y tócalo de nuevo.',
    },
    unavailable: {
      title: 'Un momento',
      text: 'No hay nadie disponible ahora. Inténtalo de nuevo en unos minutos.',
    },
    limited: {
      title: 'Demasiadas visitas',
      text: 'Tu red abrió demasiados enlaces en la última hora. Espera un poco y toca el anuncio de nuevo.',
    },
  },
};
