namespace PureQLora.Models;

/// <summary>The small files that make a checkpoint usable and that no step here changes: tokenizer, chat template, generation settings.</summary>
internal static class CompanionFiles
{
    private const long LargestBytes = 256L << 20;

    private static readonly string[] Names =
    [
        "tokenizer.json", "tokenizer.model", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json", "vocab.json", "merges.txt",
        "chat_template.jinja", "chat_template.json", "generation_config.json",
    ];

    /// <summary>Copies those that are there.</summary>
    /// <exception cref="Core.UserErrorException">One cannot be read or written.</exception>
    public static void Copy(string source, string target)
    {
        if (Path.GetFullPath(source) == Path.GetFullPath(target))
        {
            return;
        }

        foreach (string name in Names)
        {
            string path = Path.Combine(source, name);
            if (File.Exists(path))
            {
                AtomicFile.WriteBytes(Path.Combine(target, name), JsonFile.ReadBytes(path, LargestBytes));
            }
        }
    }
}
