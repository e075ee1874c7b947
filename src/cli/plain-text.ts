export { plainJson, plainText } from '../plain-text.ts'
