/** By group, and in it a line for each emoji; see scripts/emoji.ts. */
declare module 'virtual:emoji' {
  const groups: readonly string[];
  export default groups;
}

declare module 'virtual:emoji-*' {
  const groups: readonly string[];
  export default groups;
}
