// Svelte's compiler: runes everywhere, and a warning is a mistake.
export default {
  compilerOptions: { runes: true },
};
