using PureQLora.Core;
using PureQLora.Models;

namespace PureQLora.Training;

/// <summary>Trains a small model from random weights on generated word problems: how the embedded model was made, and can be made again.</summary>
public static class Pretraining
{
    private const int TokenizerTexts = 20_000;
    private const int MaxPositions = 1024;

    /// <summary>Trains and writes a model folder: config.json, model.safetensors (bfloat16), tokenizer.json, tokenizer_config.json.</summary>
    /// <param name="folder">Empty or absent.</param>
    /// <param name="options">Sizes and schedule.</param>
    /// <param name="backend">Computes.</param>
    /// <param name="progress">Told after each step.</param>
    /// <param name="threads">Threads that tokenise; 0 takes one a processor. The result does not depend on it.</param>
    /// <param name="cancellationToken">Ends the training after the present step; what has been learnt so far is written.</param>
    /// <returns>The last step's metrics.</returns>
    public static StepMetrics Run(string folder, PretrainingOptions options, IBackend backend, IProgress<StepMetrics>? progress = null, int threads = 0, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(options);
        WordProblemGenerator generator = new(options.Seed, WordProblemGenerator.KnownFamilies, ProblemSplit.Training);
        Directory.CreateDirectory(folder);
        string tokenizerFile = Path.Combine(folder, "tokenizer.json");
        AtomicFile.WriteText(tokenizerFile, BytePairTrainer.Train(TokenizerCorpus(options.Seed), options.VocabularySize));
        AtomicFile.WriteText(
            Path.Combine(folder, "tokenizer_config.json"),
            $$"""{"tokenizer_class": "PreTrainedTokenizerFast", "bos_token": "{{BytePairTrainer.BeginToken}}", "eos_token": "{{BytePairTrainer.EndToken}}"}""" + "\n");
        ITokenizer tokenizer = TokenizerFile.Load(folder);

        SampleEncoder encoder = new(tokenizer) { MaxLength = MaxPositions, CompletionOnly = false };
        TrainingData data = TrainingData.Create(generator.Distinct(options.Problems).Select(Example), encoder, threads);
        LlamaConfig config = Config(options);
        using LlamaModel model = new(config, new RandomWeights(config, options.Seed));
        model.MakeTrainable();
        model.MoveTo(backend);

        LearningRateSchedule schedule = new()
        {
            Kind = ScheduleKind.CosineWithMinLr,
            BaseRate = options.LearningRate,
            MinRateRatio = options.MinRateRatio,
            TotalSteps = options.Steps,
            WarmupSteps = Math.Min(options.WarmupSteps, options.Steps),
        };
        TrainingOptions training = new() { BatchSize = options.BatchSize, Steps = options.Steps, Seed = options.Seed, Checkpointing = false };
        using Trainer trainer = new(model, backend, new BatchPlan(data.Samples), training, schedule, new AdamWOptions { Beta2 = 0.98, WeightDecay = 0.01 });
        StepMetrics metrics = default;
        while (trainer.StepsDone < options.Steps && !cancellationToken.IsCancellationRequested)
        {
            metrics = trainer.Step();
            progress?.Report(metrics);
        }

        Save(folder, model);
        return metrics;
    }

    /// <summary>A problem as the trainer takes it, in the format that evaluation asks in.</summary>
    private static TrainingExample Example(WordProblem problem, int index) => new PromptCompletionExample(
        $"problem {index}", PromptTemplate.Gsm8k.Render(problem.Question), PromptTemplate.Gsm8k.TargetDelimiter + problem.Answer);

    /// <summary>Texts of all families: the new one has words that the base must be able to spell.</summary>
    private static IEnumerable<string> TokenizerCorpus(ulong seed)
    {
        WordProblemGenerator generator = new(seed, Enum.GetValues<ProblemFamily>(), ProblemSplit.Training);
        for (int i = 0; i < TokenizerTexts; i++)
        {
            WordProblem problem = generator.At(i);
            yield return PromptTemplate.Gsm8k.Render(problem.Question) + PromptTemplate.Gsm8k.TargetDelimiter + problem.Answer;
        }
    }

    private static LlamaConfig Config(PretrainingOptions options) => new()
    {
        Family = ModelFamily.Llama,
        VocabularySize = options.VocabularySize,
        HiddenSize = options.HiddenSize,
        IntermediateSize = options.IntermediateSize,
        Layers = options.Layers,
        Heads = options.Heads,
        KeyValueHeads = options.KeyValueHeads,
        HeadDim = options.HiddenSize / options.Heads,
        RmsNormEpsilon = 1e-5,
        MaxPositions = MaxPositions,
        TieWordEmbeddings = true,
        SlidingWindows = new int?[options.Layers],
        BosId = 0,
        EosIds = [1],
        StoredType = "bfloat16",
    };

    private static void Save(string folder, LlamaModel model)
    {
        SafetensorsWriter writer = new();
        foreach (NamedParameter parameter in model.AllTensors())
        {
            writer.Add(parameter.Name, parameter.Value, SafetensorsType.BF16);
        }

        HuggingFaceCheckpoint.Write(folder, model.Config, writer, tokenizerFrom: null);
    }
}
