#include "worker/runtime/model_tokenizer.h"

#include "common/base/fs.h"

#define MODEL_PATH_MAX 4096

rt_status model_tokenizer_load(const char *folder, tokenizer **out, rt_error *err)
{
    static const char *const names[] = {"tokenizer.model", "spiece.model"};
    char path[MODEL_PATH_MAX];
    for (size_t i = 0; i < RT_COUNT(names); i++) {
        rt_status st = rt_fs_join(path, sizeof path, folder, names[i], err);
        if (st != RT_OK) return st;
        if (rt_fs_exists(path)) return tokenizer_load(path, out, err);
    }
    return rt_fail(err, RT_NOTFOUND, "%s: holds neither tokenizer.model nor spiece.model", folder);
}
