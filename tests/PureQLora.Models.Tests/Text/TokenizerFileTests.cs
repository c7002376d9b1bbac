using System.Text;
using PureQLora.Core;

namespace PureQLora.Models.Tests;

public sealed class TokenizerFileTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("tokenizer").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public void Load_GivenAFolderWithBoth_ShouldPreferTokenizerJson()
    {
        Assert.IsType<BytePairTokenizer>(TokenizerFile.Load(RepositoryPaths.Fixture("text", "tokenizers", "spm600")));
        Assert.IsType<SentencePieceTokenizer>(TokenizerFile.Load(RepositoryPaths.Fixture("text", "tokenizers", "spm600", "tokenizer.model")));
    }

    [Fact]
    public void Load_GivenConfigurations_ShouldTakeBosAndEosFromThem()
    {
        ITokenizer bytes = TokenizerFile.Load(RepositoryPaths.Fixture("text", "tokenizers", "bpe800"));
        Assert.Equal((1, 2), (bytes.BosId, bytes.EosId));
        ITokenizer llama = TokenizerFile.Load(RepositoryPaths.Fixture("text", "tokenizers", "llama3style"));
        Assert.Equal((893, 897), (llama.BosId, llama.EosId));
    }

    [Theory]
    [InlineData("{}", 1, 0)]
    [InlineData("""{"add_bos_token": false}""", 0, 0)]
    [InlineData("""{"add_eos_token": true}""", 1, 1)]
    [InlineData("""{"add_bos_token": null, "add_eos_token": true, "bos_token": null}""", 1, 1)]
    public void Load_GivenAModelFile_ShouldAddWhatTheConfigurationSays(string configuration, int bos, int eos)
    {
        Write("tokenizer.model", Model());
        Write("tokenizer_config.json", Encoding.UTF8.GetBytes(configuration));
        int[] ids = TokenizerFile.Load(_folder).Encode("x", addSpecial: true);
        Assert.Equal(bos, ids.Count(id => id == 1));
        Assert.Equal(eos, ids.Count(id => id == 2));
    }

    [Fact]
    public void Load_GivenTokensAsObjects_ShouldReadTheirContent()
    {
        Write("tokenizer.model", Model());
        Write("special_tokens_map.json", """{"bos_token": {"content": "</s>", "lstrip": false}, "eos_token": "<s>"}"""u8.ToArray());
        ITokenizer tokenizer = TokenizerFile.Load(_folder);
        Assert.Equal((2, 1), (tokenizer.BosId, tokenizer.EosId));
    }

    [Theory]
    [InlineData("""{"bos_token": "<none>"}""", "<none>")]
    [InlineData("""{"bos_token": 3}""", "bos_token")]
    [InlineData("""{"add_bos_token": "yes"}""", "add_bos_token")]
    [InlineData("[]", "an array")]
    [InlineData("{", "not valid JSON")]
    [InlineData("""{"added_tokens_decoder": {"600": {"content": "<pad>"}}}""", "<pad>")]
    public void Load_GivenABrokenConfiguration_ShouldSaySo(string configuration, string named)
    {
        Write("tokenizer.model", Model());
        Write("tokenizer_config.json", Encoding.UTF8.GetBytes(configuration));
        UserErrorException error = Assert.Throws<UserErrorException>(() => TokenizerFile.Load(_folder));
        Assert.Contains(named, error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Load_GivenNothing_ShouldSaySo()
    {
        Assert.Contains("neither", Assert.Throws<UserErrorException>(() => TokenizerFile.Load(_folder)).Message, StringComparison.Ordinal);
        Assert.Contains("There is no tokenizer", Assert.Throws<UserErrorException>(() => TokenizerFile.Load(Path.Combine(_folder, "none.json"))).Message, StringComparison.Ordinal);
        Assert.Throws<UserErrorException>(() => TokenizerFile.Load("\0"));
        Assert.Throws<UserErrorException>(() => TokenizerFile.Load(""));
    }

    [Fact]
    public void Load_GivenARankFile_ShouldAskForTokenizerJson()
    {
        Write("tokenizer.model", "IQ== 0\nIg== 1\n"u8.ToArray());
        Assert.Contains("tiktoken", Assert.Throws<UserErrorException>(() => TokenizerFile.Load(_folder)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Load_GivenAnEmptyFile_ShouldRefuseIt()
    {
        Write("tokenizer.model", []);
        Assert.Throws<UserErrorException>(() => TokenizerFile.Load(_folder));
        Write("tokenizer.json", []);
        Assert.Throws<UserErrorException>(() => TokenizerFile.Load(_folder));
    }

    private static byte[] Model() => File.ReadAllBytes(RepositoryPaths.Fixture("text", "tokenizers", "spm600", "tokenizer.model"));

    private void Write(string name, byte[] data) => File.WriteAllBytes(Path.Combine(_folder, name), data);
}
