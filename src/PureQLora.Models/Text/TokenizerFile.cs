using PureQLora.Core;

namespace PureQLora.Models;

/// <summary>Finds and loads the tokenizer of a model folder.</summary>
public static class TokenizerFile
{
    private const long MaxJsonBytes = 256L << 20;
    private const long MaxModelBytes = 16L << 20;
    private const long MaxConfigurationBytes = 64L << 20;

    /// <summary>Loads a tokenizer.</summary>
    /// <param name="fileOrFolder">
    /// A <c>tokenizer.json</c>, a SentencePiece <c>.model</c>, or a folder that holds one of them; <c>tokenizer.json</c> is preferred.
    /// BOS and EOS come from <c>tokenizer_config.json</c> or <c>special_tokens_map.json</c> beside the file. What goes around a text is
    /// what the post-processor of a <c>tokenizer.json</c> says; for a <c>.model</c> it is <c>add_bos_token</c> (true where absent) and
    /// <c>add_eos_token</c> (false where absent).
    /// </param>
    /// <exception cref="UserErrorException">There is no tokenizer, it is broken, or it asks for what is not supported.</exception>
    public static ITokenizer Load(string fileOrFolder)
    {
        ArgumentNullException.ThrowIfNull(fileOrFolder);
        string path = Find(fileOrFolder);
        SpecialTokenSettings settings = SpecialTokenSettings.ReadBeside(path);
        return path.EndsWith(".json", StringComparison.OrdinalIgnoreCase) ? LoadTokenizerJson(path, settings) : LoadSentencePiece(path, settings);
    }

    internal static SentencePieceTokenizer LoadSentencePiece(string path, SpecialTokenSettings settings)
    {
        byte[] data = Read(path, MaxModelBytes);
        if (RankFile.LooksLikeOne(data))
        {
            throw new UserErrorException($"{path} is a tiktoken rank file, which does not say how to cut text into words; put the tokenizer.json of the same model beside it.");
        }

        return new SentencePieceTokenizer(SentencePieceModel.Parse(data, path), settings);
    }

    internal static BytePairTokenizer LoadTokenizerJson(string path, SpecialTokenSettings settings) =>
        new(TokenizerJson.Read(Read(path, MaxJsonBytes), path), settings);

    /// <summary>Reads a configuration file beside a tokenizer, or null where there is none.</summary>
    internal static JsonPart? ReadConfiguration(string folder, string name)
    {
        string path = Path.Combine(folder, name);
        return File.Exists(path) ? JsonPart.Parse(Read(path, MaxConfigurationBytes), path) : null;
    }

    private static string Find(string fileOrFolder)
    {
        if (!Directory.Exists(fileOrFolder))
        {
            return File.Exists(fileOrFolder)
                ? fileOrFolder
                : throw new UserErrorException($"There is no tokenizer '{fileOrFolder}'; give a folder, a tokenizer.json or a tokenizer.model.");
        }

        string[] candidates = [Path.Combine(fileOrFolder, "tokenizer.json"), Path.Combine(fileOrFolder, "tokenizer.model")];
        return candidates.FirstOrDefault(File.Exists)
            ?? throw new UserErrorException($"{fileOrFolder} has neither tokenizer.json nor tokenizer.model; put the tokenizer of the model there.");
    }

    private static byte[] Read(string path, long maxBytes)
    {
        try
        {
            FileInfo file = new(path);
            if (file.Exists && file.Length > maxBytes)
            {
                throw new UserErrorException($"{path} has {file.Length} bytes, allowed for a tokenizer are {maxBytes}; check that it is the right file.");
            }

            return File.ReadAllBytes(path);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException or ArgumentException)
        {
            throw new UserErrorException($"The tokenizer {path} cannot be read: {exception.Message.TrimEnd('.')}; check the path.", exception);
        }
    }
}
