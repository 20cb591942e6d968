// node validate.mjs openapi.json
import { readFileSync } from "node:fs";
import { Validator } from "@seriousme/openapi-schema-validator";

const document = JSON.parse(readFileSync(process.argv[2], "utf8"));
const result = await new Validator().validate(document);
if (!result.valid) {
  console.error(JSON.stringify(result.errors, null, 2));
  process.exit(1);
}
// The validator must be able to fail.
delete document.paths["/v1/vms"].post.responses;
if ((await new Validator().validate(document)).valid) {
  console.error("the validator takes a document without responses");
  process.exit(1);
}
console.log("valid OpenAPI " + document.openapi);
