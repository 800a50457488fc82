"use strict";

// A key stays in this page's memory and is gone with it. Nothing is asked of anybody but this gateway.
SwaggerUIBundle({
  url: "../openapi.json",
  dom_id: "#browser",
  deepLinking: true,
  defaultModelsExpandDepth: 0,
  displayRequestDuration: true,
  filter: true,
  persistAuthorization: false,
  validatorUrl: null,
});
