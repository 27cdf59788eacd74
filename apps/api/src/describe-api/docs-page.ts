/** `/docs`: Swagger UI out of node_modules, so that it works without a network. Nothing is inline, so that the policy can forbid it. */
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';

/** Scripts, styles and requests come from here and go nowhere else. The pictures in Swagger UI's style sheet are `data:`. */
export const contentSecurityPolicy = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self' data:",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ');

export const docsPage = `<!doctype html>
<html lang="en">
  <head>
    <meta charset="utf-8" />
    <meta name="viewport" content="width=device-width, initial-scale=1" />
    <title>Holdfast: the API</title>
    <link rel="icon" type="image/png" href="/docs/favicon-32x32.png" />
    <link rel="stylesheet" href="/docs/swagger-ui.css" />
  </head>
  <body>
    <div id="docs"></div>
    <noscript>This page needs JavaScript. The description itself is at <a href="/openapi.json">/openapi.json</a>.</noscript>
    <script src="/docs/swagger-ui-bundle.js"></script>
    <script src="/docs/start.js"></script>
  </body>
</html>
`;

const startScript = `window.ui = SwaggerUIBundle({
  url: '/openapi.json',
  dom_id: '#docs',
  deepLinking: true,
  validatorUrl: null, // the badge would ask a server on the internet
});
`;

export interface DocsFile {
  readonly mediaType: string;
  readonly bytes: Buffer;
}

/** Nothing else of the package is served. */
const served: Readonly<Record<string, string>> = {
  'swagger-ui.css': 'text/css; charset=utf-8',
  'swagger-ui-bundle.js': 'text/javascript; charset=utf-8',
  'favicon-32x32.png': 'image/png',
};

/** A file that the page asks for; undefined: there is none of this name. */
export async function docsFile(name: string): Promise<DocsFile | undefined> {
  if (name === 'start.js') {
    return { mediaType: 'text/javascript; charset=utf-8', bytes: Buffer.from(startScript) };
  }
  const mediaType = Object.hasOwn(served, name) ? served[name] : undefined;
  if (mediaType === undefined) return undefined;
  return { mediaType, bytes: await readFile(join(swaggerUiFolder(), name)) };
}

/** The package that @nestjs/swagger brings along, found from there. */
function swaggerUiFolder(): string {
  const ours = createRequire(import.meta.url);
  const nestSwagger = createRequire(ours.resolve('@nestjs/swagger'));
  return dirname(nestSwagger.resolve('swagger-ui-dist/package.json'));
}
