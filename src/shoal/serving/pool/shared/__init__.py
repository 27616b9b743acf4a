"""Workers that many models share.

pool        the way in: few workers, many models; gives out seats
seat        a model version as its runner sees it; `lease`: its stay in one worker; `arrivals`: who waits for it
place       one worker and the models in it; `loads`, `moving`: into it, and on to the next one; `line`: who is next
remembered  what is kept of models that are not in memory; `sharing`: what the pool is told to be; `explaining`: why
"""
