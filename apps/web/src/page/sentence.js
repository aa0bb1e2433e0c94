/** A line with a capital at its beginning, unless it begins with a file's name. */
export function asSentence(line) {
  return /^[a-z-]+ /.test(line) ? line[0].toUpperCase() + line.slice(1) : line;
}
