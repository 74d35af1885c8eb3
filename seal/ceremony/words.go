package ceremony

// words are the page's texts, by language and key. Every language has every key, with
// the same verbs in it; a test compares them.
var words = map[string]map[string]string{"en": english, "ja": japanese}
