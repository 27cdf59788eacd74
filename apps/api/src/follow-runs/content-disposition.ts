const MAX_NAME_LENGTH = 150;

/**
 * Has a browser save the answer under this name (RFC 6266): the whole name in UTF-8 (RFC 8187), and an ASCII one for those that
 * read no other. What a path or a header could be broken with is replaced.
 */
export function savedAs(fileName: string): string {
  const extension = /\.[a-z0-9]{1,8}$/i.exec(fileName)?.[0] ?? '';
  const stem = fileName.slice(0, fileName.length - extension.length);
  const safe = stem.toWellFormed().replace(/[\p{Cc}\p{Cf}\ufffd/\\:*?"<>|]/gu, '_');
  const name = [...safe].slice(0, MAX_NAME_LENGTH).join('').trim() + extension;
  const ascii = name
    .normalize('NFKD')
    .replace(/\p{M}/gu, '')
    .replace(/[^ -~]|%/g, '_');
  const extended = encodeURIComponent(name).replace(
    /['()*]/g,
    (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`,
  );
  return `attachment; filename="${ascii}"; filename*=UTF-8''${extended}`;
}
