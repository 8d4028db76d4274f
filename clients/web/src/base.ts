/** The path under which the page lives: `/`, or `/chat-page/` behind a proxy. The program itself lies one folder below. */
export const base = new URL(/* @vite-ignore */ '..', import.meta.url).pathname;
