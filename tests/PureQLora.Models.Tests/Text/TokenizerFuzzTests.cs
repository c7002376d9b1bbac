using System.Text;
using System.Text.Json.Nodes;
using FsCheck;
using FsCheck.Fluent;
using PureQLora.Core;

namespace PureQLora.Models.Tests;

/// <summary>Files from strangers: a parser gives a tokenizer that works, or a UserErrorException, and nothing else.</summary>
public sealed class TokenizerFuzzTests
{
    private static readonly string[] JsonNames = ["spm600", "bpe800", "llama3style"];

    [Fact]
    public void Parse_GivenMutatedModelBytes_ShouldGiveATokenizerOrAUserError()
    {
        byte[] model = File.ReadAllBytes(RepositoryPaths.Fixture("text", "tokenizers", "spm600", "tokenizer.model"));
        int refused = 0;
        Check(400, seed =>
        {
            byte[] mutated = MutateBytes(model, new Random(seed));
            refused += Survives(() => new SentencePieceTokenizer(SentencePieceModel.Parse(mutated, "fuzzed"), SpecialTokenSettings.None)) ? 0 : 1;
        });
        Assert.InRange(refused, 50, 399);
    }

    [Fact]
    public void Parse_GivenArbitraryBytes_ShouldGiveATokenizerOrAUserError()
    {
        Prop.ForAll((byte[] data) =>
        {
            Survives(() => new SentencePieceTokenizer(SentencePieceModel.Parse(data, "fuzzed"), SpecialTokenSettings.None));
            Survives(() => TokenizerJsonBuilder.Load(data));
        }).Check(Config.QuickThrowOnFailure.WithMaxTest(300).WithReplay(20240229UL, 7UL));
    }

    [Fact]
    public void Read_GivenMutatedJsonBytes_ShouldGiveATokenizerOrAUserError()
    {
        byte[][] files = [.. JsonNames.Select(name => File.ReadAllBytes(JsonPath(name)))];
        Check(200, seed =>
        {
            Random random = new(seed);
            byte[] mutated = MutateBytes(files[random.Next(files.Length)], random);
            Survives(() => TokenizerJsonBuilder.Load(mutated));
        });
    }

    [Fact]
    public void Read_GivenJsonWithValuesExchanged_ShouldGiveATokenizerOrAUserError()
    {
        string[] files = [.. JsonNames.Select(name => File.ReadAllText(JsonPath(name)))];
        int refused = 0;
        Check(200, seed =>
        {
            Random random = new(seed);
            JsonNode root = JsonNode.Parse(files[random.Next(files.Length)])!;
            for (int change = random.Next(1, 3); change > 0; change--)
            {
                Exchange(root, random);
            }

            string mutated = root.ToJsonString();
            refused += Survives(() => TokenizerJsonBuilder.Load(mutated)) ? 0 : 1;
        });
        Assert.InRange(refused, 50, 199);
    }

    [Theory]
    [InlineData("spm600/tokenizer.json")]
    [InlineData("spm600/tokenizer.model")]
    [InlineData("bpe800/tokenizer.json")]
    [InlineData("llama3style/tokenizer.json")]
    public void Decode_GivenEncodedText_ShouldGiveTheTextBack(string file)
    {
        ITokenizer tokenizer = TokenizerFile.Load(RepositoryPaths.Fixture("text", "tokenizers", file));
        Prop.ForAll((string? drawn) =>
        {
            // These tokenizers hold every byte, so all that is lost is what has no UTF-8 form.
            string text = WellFormedText.Repair(drawn ?? "");
            int[] ids = tokenizer.Encode(drawn ?? "");
            Assert.Equal(text, tokenizer.Decode(ids));
            StreamingDecoder decoder = new(tokenizer);
            Assert.Equal(text, string.Concat(ids.Select(decoder.Append)) + decoder.Flush());
        }).Check(Config.QuickThrowOnFailure.WithMaxTest(500).WithReplay(20240229UL, 7UL));
    }

    [Theory]
    [InlineData("truncated")]
    [InlineData("deep")]
    [InlineData("duplicate name")]
    [InlineData("duplicate id")]
    [InlineData("id below zero")]
    [InlineData("huge id")]
    [InlineData("added id taken")]
    [InlineData("added id twice")]
    [InlineData("template id")]
    [InlineData("lone surrogate")]
    [InlineData("not utf-8")]
    public void Read_GivenAHostileFile_ShouldRefuseIt(string kind)
    {
        string file = File.ReadAllText(JsonPath("spm600"));
        string mutated = kind switch
        {
            "truncated" => file[..(file.Length / 2)],
            "deep" => "{\"model\":" + new string('[', 100000) + new string(']', 100000) + "}",
            "duplicate name" => file.Replace("\"<unk>\":0,", "\"<unk>\":0,\"<unk>\":0,", StringComparison.Ordinal),
            "duplicate id" => file.Replace("\"<s>\":1,", "\"<s>\":2,", StringComparison.Ordinal),
            "id below zero" => file.Replace("\"<s>\":1,", "\"<s>\":-1,", StringComparison.Ordinal),
            "huge id" => file.Replace("\"<s>\":1,", "\"<s>\":2147483647,", StringComparison.Ordinal),
            "added id taken" => file.Replace("\"id\":1,\"content\":\"<s>\"", "\"id\":5,\"content\":\"<s>\"", StringComparison.Ordinal),
            "added id twice" => file.Replace("\"added_tokens\":[", "\"added_tokens\":[{\"id\":0,\"content\":\"<unk>\"},", StringComparison.Ordinal),
            "template id" => file.Replace("\"ids\":[1]", "\"ids\":[600]", StringComparison.Ordinal),
            "lone surrogate" => file.Replace("\"content\":\"<s>\"", "\"content\":\"\\ud800\"", StringComparison.Ordinal),
            _ => file.Replace("\"content\":\"<s>\"", "\"content\":\"\u00FF\"", StringComparison.Ordinal),
        };
        Assert.NotEqual(file, mutated);
        byte[] bytes = kind == "not utf-8" ? Encoding.Latin1.GetBytes(mutated) : Encoding.UTF8.GetBytes(mutated);
        Assert.Throws<UserErrorException>(() => TokenizerJsonBuilder.Load(bytes));
    }

    private static string JsonPath(string name) => RepositoryPaths.Fixture("text", "tokenizers", name, "tokenizer.json");

    /// <summary>Runs a check with seeds that FsCheck draws, always the same ones.</summary>
    private static void Check(int count, Action<int> check) =>
        Prop.ForAll(Gen.Choose(0, int.MaxValue).ToArbitrary(), check).Check(Config.QuickThrowOnFailure.WithMaxTest(count).WithReplay(20240229UL, 7UL));

    /// <summary>Whether the file was accepted; then the tokenizer must work on any text and on its own ids.</summary>
    private static bool Survives(Func<ITokenizer> load)
    {
        try
        {
            ITokenizer tokenizer = load();
            int[] ids = tokenizer.Encode("Hello, wörld 12 😀 <s>\n<|im_start|>", addSpecial: true, parseSpecial: true);
            tokenizer.Decode(ids, skipSpecial: true);
            return true;
        }
        catch (UserErrorException error)
        {
            Assert.DoesNotContain('\n', error.Message);
            return false;
        }
    }

    private static byte[] MutateBytes(byte[] source, Random random)
    {
        List<byte> bytes = [.. source];
        for (int change = random.Next(1, 6); change > 0; change--)
        {
            int at = random.Next(bytes.Count);
            switch (random.Next(5))
            {
                case 0:
                    bytes[at] = (byte)random.Next(256);
                    break;
                case 1:
                    bytes[at] ^= (byte)(1 << random.Next(8));
                    break;
                case 2:
                    bytes.RemoveRange(at, Math.Min(bytes.Count - at - 1, random.Next(1, 9)));
                    break;
                case 3 when bytes.Count > 8:
                    bytes.InsertRange(at, bytes.GetRange(random.Next(bytes.Count - 8), 8));
                    break;
                default:
                    bytes.RemoveRange(Math.Max(1, at), bytes.Count - Math.Max(1, at));
                    break;
            }
        }

        return [.. bytes];
    }

    private static void Exchange(JsonNode root, Random random)
    {
        // Walks down at random; the vocabulary and the merges are most of the file, so each level counts the same.
        JsonNode node = root;
        while (true)
        {
            JsonNode? next = node switch
            {
                JsonObject { Count: > 0 } item => item.ElementAt(random.Next(item.Count)).Value,
                JsonArray { Count: > 0 } list => list[random.Next(list.Count)],
                _ => null,
            };
            if (next is null || (next is JsonValue && random.Next(2) == 0) || random.Next(6) == 0)
            {
                break;
            }

            node = next;
        }

        string[] values = ["null", "-1", "3", "1e99", "4294967296", "\"\"", "\"a b\"", "\"ByteLevel\"", "[]", "{}", "true", "[[1]]", "{\"type\":\"Sequence\"}"];
        JsonNode? value = JsonNode.Parse(values[random.Next(values.Length)]);
        if (node is JsonObject parent && parent.Count > 0)
        {
            string key = parent.ElementAt(random.Next(parent.Count)).Key;
            if (random.Next(4) == 0)
            {
                parent.Remove(key);
            }
            else
            {
                parent[key] = value;
            }
        }
        else if (node is JsonArray list && list.Count > 0)
        {
            list[random.Next(list.Count)] = value;
        }
        else if (node.Parent is not null)
        {
            node.ReplaceWith(value);
        }
    }
}
