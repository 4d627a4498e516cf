#include "common/text/tokenizer_shim.h"

#include <sentencepiece_processor.h>
#include <sentencepiece_trainer.h>

#include <cstdio>
#include <exception>
#include <new>
#include <string>
#include <unordered_map>
#include <vector>

/* Not in the public headers, but exported. Weak: a later library without it still links. */
namespace sentencepiece::logging
{
__attribute__((weak)) void SetMinLogLevel(int level);
}

struct sp_model {
    sentencepiece::SentencePieceProcessor processor;
};

namespace
{

/* Failures come back as statuses; the library's own prints would only repeat them on stderr. */
void silence()
{
    if (sentencepiece::logging::SetMinLogLevel != nullptr)
        sentencepiece::logging::SetMinLogLevel(3);
}

void say(sp_message *message, const char *text)
{
    std::snprintf(message->text, sizeof message->text, "%s", text);
    for (char *c = message->text; *c != '\0'; c++)
        if (*c == '\n') *c = ' ';
}

/* Run `body`, which returns an sp_result, and turn what it throws into one. */
template <typename Body> sp_result guarded(sp_message *message, Body body)
{
    try {
        return body();
    } catch (const std::bad_alloc &) {
        say(message, "out of memory");
        return SP_NOMEM;
    } catch (const std::exception &e) {
        say(message, e.what());
        return SP_REFUSED;
    } catch (...) {
        say(message, "unknown exception");
        return SP_REFUSED;
    }
}

sp_result result_of(const sentencepiece::util::Status &status, sp_message *message)
{
    if (status.ok()) return SP_OK;
    say(message, status.error_message());
    return SP_REFUSED;
}

class SourceIterator : public sentencepiece::SentenceIterator
{
  public:
    SourceIterator(sp_source source, void *context) : source_(source), context_(context)
    {
        Next();
    }
    bool done() const override
    {
        return state_ != 1;
    }
    void Next() override
    {
        const char *text = nullptr;
        size_t n = 0;
        state_ = source_(context_, &text, &n);
        if (state_ == 1) value_.assign(text, n);
    }
    const std::string &value() const override
    {
        return value_;
    }
    sentencepiece::util::Status status() const override
    {
        if (state_ >= 0) return sentencepiece::util::Status();
        return sentencepiece::util::Status(sentencepiece::util::StatusCode::kAborted,
                                           "the source of sentences failed");
    }
    bool failed() const
    {
        return state_ < 0;
    }

  private:
    sp_source source_;
    void *context_;
    int state_ = 0;
    std::string value_;
};

} // namespace

extern "C" {

sp_result sp_model_load(const char *bytes, size_t n, sp_model **out, sp_message *message)
{
    sp_model *m = nullptr;
    sp_result result = guarded(message, [&] {
        silence();
        m = new sp_model;
        return result_of(m->processor.LoadFromSerializedProto({bytes, n}), message);
    });
    if (result == SP_OK)
        *out = m;
    else
        sp_model_free(m);
    return result;
}

void sp_model_free(sp_model *m)
{
    delete m;
}

int sp_model_size(const sp_model *m)
{
    return m->processor.GetPieceSize();
}

int sp_model_unk(const sp_model *m)
{
    return m->processor.unk_id();
}

int sp_model_bos(const sp_model *m)
{
    return m->processor.bos_id();
}

int sp_model_eos(const sp_model *m)
{
    return m->processor.eos_id();
}

int sp_model_pad(const sp_model *m)
{
    return m->processor.pad_id();
}

const char *sp_model_piece(const sp_model *m, int id)
{
    return m->processor.IdToPiece(id).c_str();
}

sp_result sp_model_encode(const sp_model *m, const char *text, size_t n, sp_ids_sink sink,
                          void *context, sp_message *message)
{
    return guarded(message, [&] {
        std::vector<int> ids;
        sp_result result = result_of(m->processor.Encode({text, n}, &ids), message);
        if (result == SP_OK && !sink(context, ids.data(), ids.size())) return SP_NOMEM;
        return result;
    });
}

sp_result sp_model_decode(const sp_model *m, const uint32_t *ids, size_t n, sp_text_sink sink,
                          void *context, sp_message *message)
{
    return guarded(message, [&] {
        std::vector<int> list(ids, ids + n);
        std::string text;
        sp_result result = result_of(m->processor.Decode(list, &text), message);
        if (result == SP_OK && !sink(context, text.data(), text.size())) return SP_NOMEM;
        return result;
    });
}

sp_result sp_train(const sp_option *options, size_t n_options, sp_source source, void *context,
                   sp_text_sink model_sink, void *sink_context, sp_message *message)
{
    return guarded(message, [&] {
        silence();
        std::unordered_map<std::string, std::string> arguments;
        for (size_t i = 0; i < n_options; i++) arguments[options[i].name] = options[i].value;
        std::string model;
        SourceIterator sentences(source, context);
        auto status = sentencepiece::SentencePieceTrainer::Train(arguments, &sentences, &model);
        if (sentences.failed()) return SP_STOPPED;
        sp_result result = result_of(status, message);
        if (result == SP_OK && !model_sink(sink_context, model.data(), model.size()))
            return SP_NOMEM;
        return result;
    });
}

} /* extern "C" */
