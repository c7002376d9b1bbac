using System.CommandLine;
using PureQLora.Tools;
using PureQLora.Tools.Evaluate;

RootCommand root = new("Measures models: exact match on GSM8K, perplexity, and scores of existing texts.")
{
    Gsm8kCommand.Create(),
    PerplexityCommand.Create(),
    ScoreCommand.Create(),
};
return ToolProgram.Run(root, args);
