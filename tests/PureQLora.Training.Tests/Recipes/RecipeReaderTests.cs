using PureQLora.Core;
using PureQLora.Models;

namespace PureQLora.Training.Tests;

/// <summary>What recipes say, what they may not say, and that a written recipe reads back as it was.</summary>
public sealed class RecipeReaderTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("pureqlora-recipe-").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Theory]
    [InlineData("quantization.method=nf4", "no zero points")]
    [InlineData("quantization.groupSize=-1", "one group a row")]
    [InlineData("quantization.actOrder=true", "staticGroups")]
    [InlineData("lora.init=loftq", "lora.useQalora")]
    public void Validate_GivenAdaptersOfGroupsOnABaseWithoutThem_ShouldSayWhatToChange(string setting, string reason)
    {
        RecipeReader.Read(null, ["lora.useQalora=true"]).Validate();
        UserErrorException error = Assert.Throws<UserErrorException>(() => RecipeReader.Read(null, ["lora.useQalora=true", setting]).Validate());
        Assert.Contains(reason, error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Read_GivenNothing_ShouldGiveTheDefaults() => Assert.Equal(RecipeReader.ToJson(new Recipe() with { }), RecipeReader.ToJson(RecipeReader.Read(null, [])));

    [Fact]
    public void Read_GivenFileAndOverrides_ShouldTakeTheOverrides()
    {
        string path = Write("""
            {
              // comments are allowed
              "name": "a", "lora": { "rank": 4, "targets": ["q_proj", "v_proj"], "rankPattern": { "k_proj": 2 } },
              "optimizer": { "learningRate": 3e-4 }, "training": { "precision": "bfloat16", "steps": 7 }, "quantization": { "method": "roundToNearest" },
            }
            """);

        Recipe recipe = RecipeReader.Read(path, ["lora.rank=16", "LORA.Alpha=32.5", "training.checkpointing=false", "lora.rankPattern.o_proj=3"]);

        Assert.Equal(16, recipe.Lora.Rank);
        Assert.Equal(32.5, recipe.Lora.Alpha);
        Assert.Equal(["q_proj", "v_proj"], recipe.Lora.Targets!);
        Assert.Equal(new Dictionary<string, int> { ["k_proj"] = 2, ["o_proj"] = 3 }, recipe.Lora.RankPattern!);
        Assert.Equal(3e-4, recipe.Optimizer.LearningRate);
        Assert.Equal(Precision.BFloat16, recipe.Training.Precision);
        Assert.Equal(7, recipe.Training.Steps);
        Assert.False(recipe.Training.Checkpointing);
        Assert.Equal(QuantizationMethod.RoundToNearest, recipe.Quantization.Method);
    }

    [Theory]
    [InlineData("lora.targets=q_proj, up_proj", "q_proj|up_proj")]
    [InlineData("lora.targets=all-linear", "all-linear")]
    public void Read_GivenListOnTheCommandLine_ShouldReplaceTheFilesList(string setting, string expected)
    {
        string path = Write("""{ "lora": { "targets": ["q_proj", "k_proj", "v_proj"] } }""");
        Assert.Equal(expected, string.Join('|', RecipeReader.Read(path, [setting]).Lora.Targets!));
    }

    [Fact]
    public void Read_GivenListWrittenAsText_ShouldSplitIt() =>
        Assert.Equal(["q_proj", "v_proj"], RecipeReader.Read(Write("""{ "lora": { "targets": "q_proj,v_proj" } }"""), []).Lora.Targets!);

    [Theory]
    [InlineData("""{ "lora": { "rnak": 8 } }""", "lora.rnak", "lora.rank")]
    [InlineData("""{ "optimiser": { "learningRate": 1 } }""", "optimiser.learningRate", "optimizer.learningRate")]
    [InlineData("""{ "steps": 8 }""", "steps", "training.steps")]
    public void Read_GivenUnknownKey_ShouldNameTheNearest(string json, string unknown, string nearest)
    {
        UserErrorException refused = Assert.Throws<UserErrorException>(() => RecipeReader.Read(Write(json), []));
        Assert.Contains($"there is no key {unknown}; the nearest is {nearest}.", refused.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Read_GivenAutomaticPrecision_ShouldLeaveItToTheDevice()
    {
        string path = Write("""{ "training": { "precision": "bfloat16" } }""");

        Assert.Null(RecipeReader.Read(path, ["training.precision=auto"]).Training.Precision);
        Assert.Null(RecipeReader.Read(Write("""{ "training": { "precision": "auto" } }"""), []).Training.Precision);
        Assert.Equal(Precision.Float32, RecipeReader.Read(path, ["training.precision=float32"]).Training.Precision);
    }

    [Fact]
    public void For_GivenTiersWithAndWithoutBFloat16_ShouldTakeWhatEachPrefers()
    {
        using CpuBackend slow = new(threads: 1, CpuTier.Vector128);
        Recipe open = RecipeReader.Read(null, []);

        Assert.Equal(Precision.Float32, open.For(slow).Training.Precision);
        Assert.Equal(Precision.BFloat16, RecipeReader.Read(null, ["training.precision=bfloat16"]).For(slow).Training.Precision);
        using CpuBackend best = new(threads: 1, CpuBackend.SupportedTier);
        Assert.Equal(best.Tier >= CpuTier.Avx512BFloat16 ? Precision.BFloat16 : Precision.Float32, open.For(best).Training.Precision);
    }

    [Theory]
    [InlineData("""{ "lora": { "rank": "eight" } }""", "lora.rank is \"eight\"")]
    [InlineData("""{ "lora": { "rank": 8.5 } }""", "lora.rank is \"8.5\"")]
    [InlineData("""{ "lora": { "rank": [8] } }""", "lora.rank")]
    [InlineData("""{ "lora": 8 }""", "lora")]
    [InlineData("""{ "training": { "seed": -1 } }""", "training.seed")]
    [InlineData("""{ "training": { "checkpointing": "maybe" } }""", "true or false")]
    [InlineData("""{ "training": { "precision": "float8" } }""", "auto, float32, bFloat16")]
    [InlineData("""{ "training": { "precision": "1" } }""", "bFloat16")]
    [InlineData("""{ "optimizer": { "learningRate": "NaN" } }""", "a number")]
    [InlineData("""[ 1 ]""", "not valid JSON")]
    [InlineData("""{ "name": """, "not valid JSON")]
    [InlineData("", "not valid JSON")]
    public void Read_GivenWrongType_ShouldNameKeyOrFile(string json, string words)
    {
        UserErrorException refused = Assert.Throws<UserErrorException>(() => RecipeReader.Read(Write(json), []));
        Assert.Contains(words, refused.Message, StringComparison.Ordinal);
        Assert.DoesNotContain('\n', refused.Message);
    }

    [Theory]
    [InlineData("lora.rank=0")]
    [InlineData("lora.rank=257")]
    [InlineData("lora.alpha=0")]
    [InlineData("lora.dropout=1")]
    [InlineData("data.maxLength=1")]
    [InlineData("data.limit=0")]
    [InlineData("training.batchSize=0")]
    [InlineData("training.precision=int8")]
    [InlineData("optimizer.schedule=sinus")]
    [InlineData("optimizer.warmupRatio=2")]
    [InlineData("optimizer.beta1=1")]
    [InlineData("quantization.bits=5")]
    [InlineData("quantization.calibrationSamples=0")]
    [InlineData("evaluation.limit=0")]
    [InlineData("evaluation.rule=guess")]
    [InlineData("name=a/b")]
    public void Validate_GivenValueOutOfRange_ShouldRefuse(string setting) =>
        Assert.Throws<UserErrorException>(() => RecipeReader.Read(null, [setting]).Validate());

    [Fact]
    public void Read_GivenRelativePaths_ShouldResolveThoseOfTheFileAgainstItsFolder()
    {
        string path = Write("""{ "model": { "path": "base" }, "data": { "train": "sub/a.jsonl" } }""");

        Recipe recipe = RecipeReader.Read(path, ["evaluation.file=b.jsonl"]);

        Assert.Equal(Path.Combine(_folder, "base"), recipe.Model.Path);
        Assert.Equal(Path.Combine(_folder, "sub", "a.jsonl"), recipe.Data.Train);
        Assert.Equal(Path.GetFullPath("b.jsonl"), recipe.Evaluation.File);
        Assert.Equal("embedded", RecipeReader.Read(Write("{}"), []).Model.Path);
    }

    [Fact]
    public void ToJson_GivenRecipe_ShouldReadBackAsItWas()
    {
        Recipe recipe = RecipeReader.Read(null, ["lora.targets=q_proj,v_proj", "lora.alphaPattern.q_proj=0.1", "optimizer.learningRate=0.00031", "training.seed=18446744073709551615", "data.train=/x/y.jsonl", "quantization.method=rOUNDtoNEAREST"]);
        string json = RecipeReader.ToJson(recipe);

        Assert.Equal(json, RecipeReader.ToJson(RecipeReader.Read(Write(json), [])));
    }

    private string Write(string json)
    {
        string path = Path.Combine(_folder, "recipe.json");
        File.WriteAllText(path, json);
        return path;
    }
}
