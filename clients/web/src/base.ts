/** The base path of the page: `/`, or `/chat-page/` behind a proxy. The script is one folder below. */
export const base = new URL(/* @vite-ignore */ '..', import.meta.url).pathname;
