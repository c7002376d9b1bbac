using System.CommandLine;
using PureQLora.Tools;
using PureQLora.Tools.Inspect;

RootCommand root = new("Shows what is in a model folder, and the numbers it computes, to compare with other frameworks.")
{
    ModelCommand.Create(),
    TokensCommand.Create(),
    LogitsCommand.Create(),
    GradientsCommand.Create(),
};
return ToolProgram.Run(root, args);
