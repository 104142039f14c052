// Modules are numbered in their order: by default the number of one depends on the folder that is built in.
module.exports = { optimization: { moduleIds: 'natural' } };
