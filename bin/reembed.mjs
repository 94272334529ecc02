#!/usr/bin/env node
console.log('hello reembed', process.argv.slice(2), process.env.NODE_OPTIONS);
