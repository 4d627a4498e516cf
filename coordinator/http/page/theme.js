// Light, dark or as the system has it, before the first paint. A classic script: a module would come too late.
(function () {
    'use strict';
    const key = 'retort-theme';
    let choice = 'system';
    try {
        choice = localStorage.getItem(key) || 'system';
    } catch {
        // storage is forbidden: the choice lasts as long as the page
    }
    function apply(name) {
        choice = ['light', 'dark'].includes(name) ? name : 'system';
        document.documentElement.dataset.theme = choice;
    }
    apply(choice);
    window.retortTheme = {
        get: () => choice,
        set(name) {
            apply(name);
            try {
                localStorage.setItem(key, choice);
            } catch {
                // as above
            }
        },
    };
})();
