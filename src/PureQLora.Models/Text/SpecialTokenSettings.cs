using System.Text.Json;
using PureQLora.Core;

namespace PureQLora.Models;

/// <summary>What the configuration beside a tokenizer file says about BOS and EOS; null where it says nothing.</summary>
/// <param name="Source">The folder it comes from, for messages.</param>
/// <param name="BosToken">Spelling of the beginning-of-sequence token.</param>
/// <param name="EosToken">Spelling of the end-of-sequence token.</param>
/// <param name="AddBos">Whether BOS goes before a text.</param>
/// <param name="AddEos">Whether EOS goes after a text.</param>
internal sealed record SpecialTokenSettings(string Source, string? BosToken, string? EosToken, bool? AddBos, bool? AddEos)
{
    /// <summary>No configuration.</summary>
    public static SpecialTokenSettings None { get; } = new("", null, null, null, null);

    /// <summary>Highest id among the added tokens that the configuration lists, with its spelling; −1 where it lists none.</summary>
    public (int Id, string Token) HighestAdded { get; private init; } = (-1, "");

    /// <summary>Reads <c>tokenizer_config.json</c> and, for what it does not say, <c>special_tokens_map.json</c>.</summary>
    /// <exception cref="UserErrorException">One of them is there and broken.</exception>
    public static SpecialTokenSettings ReadBeside(string tokenizerPath)
    {
        string folder = Path.GetDirectoryName(Path.GetFullPath(tokenizerPath)) ?? ".";
        JsonPart? configuration = TokenizerFile.ReadConfiguration(folder, "tokenizer_config.json");
        JsonPart? map = TokenizerFile.ReadConfiguration(folder, "special_tokens_map.json");
        return new SpecialTokenSettings(
            folder,
            ReadToken(configuration, "bos_token") ?? ReadToken(map, "bos_token"),
            ReadToken(configuration, "eos_token") ?? ReadToken(map, "eos_token"),
            configuration?.Optional("add_bos_token")?.Flag(),
            configuration?.Optional("add_eos_token")?.Flag())
        {
            HighestAdded = ReadHighestAdded(configuration),
        };
    }

    /// <summary>Id of a token that the configuration names.</summary>
    public int? Find(string key, string? token, Func<string, int?> tokenToId) => token is null
        ? null
        : tokenToId(token) ?? throw new UserErrorException(
            $"{Source}: {key} is '{token}', which the vocabulary does not hold; correct it, or use the tokenizer that belongs to this configuration.");

    private static string? ReadToken(JsonPart? file, string key)
    {
        // Either the spelling itself or an object that holds it.
        JsonPart? token = file?.Optional(key);
        return token is JsonPart { Element.ValueKind: JsonValueKind.Object } whole ? whole.Required("content").Text() : token?.Text();
    }

    private static (int Id, string Token) ReadHighestAdded(JsonPart? configuration)
    {
        (int Id, string Token) highest = (-1, "");
        foreach ((string key, JsonPart token) in configuration?.Optional("added_tokens_decoder")?.Members() ?? [])
        {
            if (int.TryParse(key, System.Globalization.CultureInfo.InvariantCulture, out int id) && id > highest.Id)
            {
                highest = (id, token.Required("content").Text());
            }
        }

        return highest;
    }
}
